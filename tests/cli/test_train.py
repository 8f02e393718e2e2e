"""What a training run looks at before it starts; whole runs are in integration/."""

from __future__ import annotations

import json
import logging
import shutil

import pytest
import torch

from equikpt.cli import options as declare
from equikpt.cli.commands.train import (
    TrainOptions,
    build_config,
    main,
    resume_command,
    warn_of_labels,
)
from equikpt.cli.launch import load_config, set_data_root
from equikpt.core.errors import causes, is_user_error


@pytest.fixture
def spoilt(sample_data, tmp_path):
    """Sample data of which one box is far from its points, and one has no area."""
    folder = tmp_path / "data"
    shutil.copytree(sample_data, folder)
    path = folder / "annotations/train.json"
    coco = json.loads(path.read_text())
    coco["annotations"][0]["bbox"] = [1, 1, 4, 4]
    coco["annotations"][1]["area"] = 0
    path.write_text(json.dumps(coco))
    return folder


@pytest.fixture
def warnings(monkeypatch, caplog):
    """``warnings()``: those so far."""
    logger = logging.getLogger("labels")
    monkeypatch.setattr("mmengine.logging.MMLogger.get_current_instance", lambda: logger)
    caplog.set_level(logging.WARNING, logger="labels")
    return lambda: [record.message for record in caplog.records if record.name == "labels"]


def config(folder, **dataset):
    cfg = load_config("smoke/rtmpose_m_ap10k")
    set_data_root(cfg, str(folder))
    cfg.train_dataloader.dataset.update(dataset)
    return cfg


def test_mistakes_in_labels_are_named_before_training(spoilt, warnings):
    warn_of_labels(config(spoilt), ("train", "val"))
    (warning,) = warnings()
    assert "train.json" in warning
    assert "box away from its points" in warning
    assert "area not above 0" in warning


def test_areas_that_are_filled_in_are_no_mistake(spoilt, warnings):
    warn_of_labels(config(spoilt, area_from_bbox=0.53), ("train",))
    (warning,) = warnings()
    assert "box away from its points" in warning
    assert "area not above 0" not in warning


def test_valid_labels_are_silent(sample_data, warnings):
    warn_of_labels(config(sample_data), ("train", "val"))
    assert warnings() == []


@pytest.mark.parametrize(
    ("fixture", "name"),
    [
        ("sample_radiographs", "td-hm_efficientnet-lite0_p1p2-512x512"),
        ("sample_points", "sequential_efficientnet-lite0_fsc147-384x384"),
    ],
)
def test_other_formats_are_left_to_their_own_checks(request, warnings, fixture, name):
    cfg = load_config(name)
    set_data_root(cfg, str(request.getfixturevalue(fixture)))
    warn_of_labels(cfg, ("train", "val"))
    assert warnings() == []


@pytest.mark.parametrize(("verify", "count"), [(True, 1), (False, 0)])
def test_it_is_off_by_one_option(spoilt, warnings, tmp_path, verify, count):
    options = TrainOptions(
        config="smoke/rtmpose_m_ap10k",
        work_dir=str(tmp_path / "work"),
        data_root=str(spoilt),
        verify=verify,
    )
    build_config(options)
    assert len(warnings()) == count


def test_options_with_names_of_their_own(sample_data, tmp_path):
    options = dict(config="smoke/rtmpose_m_ap10k", data_root=str(sample_data))
    cfg = build_config(
        TrainOptions(**options, work_dir=str(tmp_path), learning_rate=2e-3, batch_size=7)
    )
    assert cfg.optim_wrapper.optimizer.lr == 2e-3
    assert cfg.train_dataloader.batch_size == 7


@pytest.mark.parametrize("flag", ["--learning-rate", "--learning_rate", "--lr"])
def test_the_rate_as_one_types_it(flag):
    assert declare.parse(TrainOptions, ["config", flag, "0.002"]).learning_rate == 0.002


def test_a_run_goes_on_from_the_last_one_which_is_kept(sample_data, tmp_path):
    from equikpt.cli.launch import set_aside

    work = tmp_path / "work"
    (work / "20200101").mkdir(parents=True)
    torch.save(dict(state_dict={}), work / "best_x.pth")
    (work / "best.pth").symlink_to("best_x.pth")
    options = dict(config="smoke/rtmpose_m_ap10k", data_root=str(sample_data), verify=False)
    cfg = build_config(TrainOptions(**options, work_dir=str(work), from_last=True))
    assert cfg.load_from == str(work / "best.pth")
    assert not cfg.resume
    (tmp_path / "work_1").mkdir()
    assert set_aside(work, work / "best.pth") == tmp_path / "work_2" / "best.pth"
    assert (tmp_path / "work_2" / "best.pth").is_file()
    assert not work.exists()


def test_a_run_does_not_make_way_for_images_that_are_all_labelled(sample_data, tmp_path):
    options = dict(config="smoke/rtmpose_m_ap10k", data_root=str(sample_data), overwrite=True)
    labelled = str(sample_data / "images" / "val")
    with pytest.raises(ValueError, match="none of 6 is left"):
        build_config(TrainOptions(**options, work_dir=str(tmp_path), unlabelled=labelled))


def test_a_stopped_run_starts_from_the_last_one_again():
    line = resume_command(["train.py", "mice", "--from-last"], None, "mice/work_dir_1/best.pth")
    options = declare.parse(TrainOptions, line.split()[2:])
    assert (options.config, options.resume, options.from_last) == ("mice", "auto", False)
    assert options.cfg_options == ["load_from=mice/work_dir_1/best.pth"]


@pytest.mark.parametrize(
    "given", [dict(resume="auto"), dict(overwrite=True), dict(from_scratch=True)]
)
def test_from_last_says_where_to_start_alone(sample_data, tmp_path, given):
    options = dict(config="smoke/rtmpose_m_ap10k", data_root=str(sample_data), from_last=True)
    with pytest.raises(ValueError, match="--from-last without"):
        build_config(TrainOptions(**options, work_dir=str(tmp_path), **given))
    del given
    with pytest.raises(FileNotFoundError, match="expected a checkpoint"):
        build_config(TrainOptions(**options, work_dir=str(tmp_path)))


def test_a_bug_keeps_its_traceback(sample_data, tmp_path):
    """A size that does not fit, deep inside MMPose, is not dressed up as the user's mistake."""
    arguments = ["smoke/rtmpose_m_ap10k", "--work-dir", str(tmp_path / "work")]
    arguments += ["--data-root", str(sample_data), "--cfg-options", "model.head.in_channels=7"]
    with pytest.raises(Exception) as caught:
        main(arguments)
    assert not any(is_user_error(link) for link in causes(caught.value))


def test_unlabelled_images_are_named_by_one_option(sample_data, tmp_path):
    source = sample_data / "images/test"
    options = dict(config="smoke/rtmpose_m_ap10k", data_root=str(sample_data))
    cfg = build_config(
        TrainOptions(**options, work_dir=str(tmp_path / "a"), unlabelled=str(source))
    )
    assert cfg.default_hooks.unlabelled.source == str(source.resolve())
    off = build_config(TrainOptions(**options, work_dir=str(tmp_path / "b")))
    assert off.default_hooks.unlabelled.source is None


@pytest.mark.parametrize(
    ("config", "folder", "words"),
    [
        ("smoke/rtmpose_m_ap10k", "annotations", "expected images"),
        ("smoke/rtmpose_m_ap10k", "nowhere", "expected a folder of images"),
        ("experimental/smoke/sequential_efficientnet-lite0_horse26-256x256", "images/test",
         "train it on labels alone"),
    ],
    ids=["no images", "no folder", "another model"],
)  # fmt: skip
def test_unlabelled_images_that_cannot_be_used_end_in_a_sentence(
    sample_data, tmp_path, config, folder, words
):
    options = TrainOptions(
        config=config,
        data_root=str(sample_data),
        work_dir=str(tmp_path),
        unlabelled=str(sample_data / folder),
    )
    with pytest.raises((ValueError, FileNotFoundError), match=words) as caught:
        build_config(options)
    assert is_user_error(caught.value)
