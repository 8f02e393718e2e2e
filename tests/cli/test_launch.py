from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from equikpt.cli import launch
from equikpt.metainfo import coco17, keypoint_set_text


def save_checkpoint(path: Path) -> Path:
    """A file with the parts that a run needs to go on."""
    torch.save({"state_dict": {}, "meta": {}, "message_hub": {}, "optimizer": {}}, path)
    return path


@pytest.fixture
def cfg(tmp_path) -> Config:
    return Config(dict(work_dir=str(tmp_path), env_cfg=dict(dist_cfg=dict(backend="nccl"))))


@pytest.mark.parametrize(
    ("option", "in_config", "expected"),
    [("mine", "theirs", "mine"), (None, "theirs", "theirs"), (None, None, "work_dirs/tiny")],
    ids=["option", "config", "config's name"],
)
def test_work_dir(tmp_path, option, in_config, expected):
    (tmp_path / "tiny.py").write_text(f"work_dir = {in_config!r}")
    cfg = Config.fromfile(tmp_path / "tiny.py")
    launch.set_work_dir(cfg, option)
    assert cfg.work_dir == expected


@pytest.mark.parametrize("name", ["rtmpose_m_ap10k", "smoke/rtmpose_m_ap10k"])
def test_a_twin_does_not_write_where_its_full_config_does(name):
    folder = launch.set_work_dir(launch.load_config(name), None)
    assert folder == Path("work_dirs", name)


@pytest.mark.parametrize(
    ("options", "epochs"),
    [({}, 30), ({"train_cfg.max_epochs": 30}, None)],
    ids=["epochs", "option"],
)
def test_a_number_of_epochs_scales_the_schedule(options, epochs):
    cfg = launch.load_config("rtmpose_m_ap10k", options, epochs)
    assert (cfg.train_cfg.max_epochs, cfg.train_cfg.val_interval) == (30, 1)
    assert (cfg.param_scheduler[1].begin, cfg.param_scheduler[1].end) == (15, 30)


def test_options_hold_for_the_scaled_schedule():
    options = {"train_cfg.max_epochs": 30, "train_cfg.val_interval": 7}
    assert launch.load_config("rtmpose_m_ap10k", options).train_cfg.val_interval == 7
    with pytest.raises(ValueError, match="got both"):
        launch.load_config("rtmpose_m_ap10k", options, 20)


def test_data_root_reaches_every_split(tmp_path):
    cfg = launch.load_config("rtmpose_m_ap10k")
    launch.set_data_root(cfg, str(tmp_path))
    roots = {cfg[f"{split}_dataloader"].dataset.data_root for split in launch.SPLITS}
    assert roots == {str(tmp_path)}
    with pytest.raises(FileNotFoundError, match=f"val annotations at {tmp_path}"):
        launch.check_annotation_files(cfg, ("val",))


def test_another_split_keeps_the_test_pipeline():
    cfg = launch.load_config("rtmpose_m_ap10k")
    test, train = cfg.test_dataloader.dataset, cfg.train_dataloader.dataset
    pipeline = test.pipeline
    launch.set_test_split(cfg, "train")
    assert (test.ann_file, test.data_prefix) == (train.ann_file, train.data_prefix)
    assert test.pipeline == pipeline
    assert test.test_mode


def test_another_split_of_the_same_file():
    """The splits of FSC-147 share their annotations."""
    cfg = launch.load_config("sequential_efficientnet-lite0_fsc147-384x384")
    launch.set_test_split(cfg, "val")
    assert cfg.test_dataloader.dataset.split == "val"


def test_a_used_folder_needs_a_word(cfg, tmp_path):
    launch.set_resume(cfg, None, overwrite=False)
    (tmp_path / "epoch_1.pth").touch()
    with pytest.raises(FileExistsError, match="--resume"):
        launch.set_resume(cfg, None, overwrite=False)
    launch.set_resume(cfg, None, overwrite=True)
    with pytest.raises(ValueError, match="got both"):
        launch.set_resume(cfg, "auto", overwrite=True)


@pytest.mark.parametrize("named", [True, False], ids=["named", "newest of a folder that moved"])
def test_resume_from_a_checkpoint(cfg, tmp_path, named):
    path = save_checkpoint(tmp_path / "epoch_1.pth")
    (tmp_path / "last_checkpoint").write_text("/gone/epoch_1.pth")
    launch.set_resume(cfg, str(path) if named else "auto", overwrite=False)
    assert cfg.resume
    assert cfg.load_from == str(path)


def test_resume_without_a_checkpoint_starts_at_the_beginning(cfg):
    """With the weights that the config names, which are not a run to go on with."""
    cfg.load_from = "pretrained.pth"
    launch.set_resume(cfg, "auto", overwrite=False)
    assert not cfg.resume
    assert cfg.load_from == "pretrained.pth"


def test_weights_alone_are_not_resumed_from(cfg, tmp_path):
    torch.save({"state_dict": {}, "meta": {}}, tmp_path / "best_a_epoch_1.pth")
    with pytest.raises(ValueError, match="message_hub"):
        launch.set_resume(cfg, str(tmp_path / "best_a_epoch_1.pth"), overwrite=False)
    with pytest.raises(FileNotFoundError, match=r"gone\.pth"):
        launch.set_resume(cfg, str(tmp_path / "gone.pth"), overwrite=False)


@pytest.mark.parametrize(("launcher", "words"), [("pytorch", "torchrun"), ("slurm", "pytorch")])
def test_several_processes_without_gpus(monkeypatch, cfg, launcher, words):
    monkeypatch.setattr(launch, "is_cuda_available", lambda: False)
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ValueError, match=words):
        launch.init_distributed(cfg, launcher)


def test_gpus_keep_the_stock_start(monkeypatch, cfg):
    monkeypatch.setattr(launch, "is_cuda_available", lambda: True)
    launch.init_distributed(cfg, "pytorch")
    assert cfg.env_cfg.dist_cfg.backend == "nccl"
    assert "model_wrapper_cfg" not in cfg


@pytest.mark.parametrize("launcher", ["none", "pytorch"])
@pytest.mark.parametrize("resume", [False, True], ids=["start", "resume"])
def test_released_weights_are_fetched_first_where_a_training_starts(monkeypatch, launcher, resume):
    fetched = []
    monkeypatch.setattr(
        "equikpt.checkpoints.zoo_files.bring", lambda name, ask: fetched.append(name)
    )
    init = dict(type="Pretrained", checkpoint="zoo://hrnet_w18_imagenet", prefix="backbone.")
    start = "epoch_5.pth" if resume else "zoo://rtmpose_m_ap10k"
    cfg = Config(dict(model=dict(backbone=dict(init_cfg=init)), load_from=start, resume=resume))
    launch.bring_weights(cfg, launcher)
    names = ["zoo://rtmpose_m_ap10k", "zoo://hrnet_w18_imagenet"]
    assert fetched == ([] if resume or launcher != "none" else names)
    assert ("init_cfg" in cfg.model.backbone) is not resume


@pytest.mark.parametrize(
    ("source", "is_guess"),
    [
        ("guess: of a test", True),
        ("25 of 26 measured: two annotations; others as before: guess: of a test", True),
        ("measured: two annotations, a.json and b.json", False),
        ("", False),
    ],
)
def test_sigmas_that_are_a_guess_are_said(tmp_path, source, is_guess):
    own = {"sigmas_source": source} if source else {}
    path = tmp_path / "keypoints.py"
    path.write_text(keypoint_set_text({**coco17.METAINFO, **own}, "of a test"))
    cfg = Config(dict(test_dataloader=dict(dataset=dict(metainfo=dict(from_file=str(path))))))
    assert any("keypoints.py" in note for note in launch.note_on_sigmas(cfg)) == is_guess
    cfg.test_dataloader.dataset.pop("metainfo")
    assert launch.note_on_sigmas(cfg) == []
