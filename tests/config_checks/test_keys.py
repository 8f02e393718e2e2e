"""Keys, types and values that do not fit are refused before anything is built."""

from contextlib import nullcontext
from pathlib import Path

import pytest
from mmengine.hooks import Hook

from equikpt.config_checks.keys import check_config
from equikpt.config_checks.options import load_config, parse_options
from equikpt.core.configs import read_config

CODECS = [f"{split}_dataloader.dataset.codec" for split in ("train", "val", "test")]
REFUSED = [
    # misspelt keys
    ("optim_wrapper.optimizer.lrr=1", "AdamW takes at optim_wrapper.optimizer, got 'lrr'"),
    ("train_dataloader.batchsize=1", "did you mean batch_size"),
    ("default_hooks.early_stopping.patienc=3", "did you mean patience"),
    ("model.backbone.typ=HRNet", "got 'typ'"),
    ("model.head.decoder.sigm=1", "did you mean sigma"),
    ("train_dataloader.dataset.data_rot=x", "did you mean data_root"),
    ("train_dataloader.dataset.pipeline.2.probb=0", "did you mean prob"),
    ("train_dataloader.dataset.codec.sigm=0", "did you mean sigma"),
    ("train_dataloader.sampler.shuffl=0", "did you mean shuffle"),
    ("train_cfg.max_epoch=1", "did you mean max_epochs"),
    ("val_cfg.fp=1", "ValLoop takes"),
    ("randomness.sed=1", "did you mean seed"),
    ("env_cfg.cudnn=1", "did you mean cudnn_benchmark"),
    ("auto_scale_lr.enabled=True", "did you mean enable"),
    ("optim_wrapper.clip_grad.max=1", "did you mean max_norm"),
    ("param_scheduler.0.en=3", "did you mean end"),
    ("log_processor.window=3", "did you mean window_size"),
    ("val_evaluator.0.iou=3", "CocoMetric takes at val_evaluator.0"),
    # unknown types
    ("model.backbone.type=HRNett", "did you mean HRNet"),
    ("model.head.loss.type=KLDiscretLos", "did you mean KLDiscretLoss"),
    ("model.backbone.norm_cfg.type=BNN", "model.backbone.norm_cfg.type"),
    ("model.head.decoder.type=FastSimCC", "did you mean FastSimCCLabel"),
    ("train_dataloader.dataset.type=Horse27", "did you mean Horse26Dataset"),
    ("train_dataloader.dataset.pipeline.0.type=LoadImag", "pipeline.0.type"),
    ("optim_wrapper.optimizer.type=AdmW", "did you mean AdamW"),
    ("optim_wrapper.constructor=Layerwise", "did you mean LayerwiseLrConstructor"),
    ("param_scheduler.0.type=LinearR", "did you mean LinearLR"),
    ("custom_hooks.0.type=EpochSeed", "did you mean EpochSeedHook"),
    ("val_evaluator.0.type=CocoMetri", "did you mean CocoMetric"),
    ("visualizer.vis_backends.0.type=TensorBoard", "visualizer.vis_backends.0.type"),
    # values of a wrong kind
    ("train_dataloader.batch_size=abc", "batch_size as a number, got 'abc'"),
    ("train_dataloader.batch_size=0", "of at least 1, got 0"),
    ("train_dataloader.batch_size=-1", "of at least 1, got -1"),
    ("train_dataloader.batch_size=2.5", "as a whole number, got 2.5"),
    ("train_dataloader.batch_size=True", "as a number, got True"),
    ("train_dataloader.batch_size=[1,2]", "as a number, got [1, 2]"),
    ("train_dataloader.num_workers=-1", "of at least 0"),
    ("optim_wrapper.optimizer.lr=-1", "of at least 0"),
    ("optim_wrapper.optimizer.lr=nan", "got nan"),
    ("optim_wrapper.optimizer.lr=inf", "got inf"),
    ("train_cfg.max_epochs=0", "of at least 1"),
    ("train_cfg.max_epochs=ten", "of at least 1, got 'ten'"),
    ("train_cfg.by_epoch=maybe", "as True or False"),
    ("train_cfg.val_interval=0", "of at least 1"),
    ("train_dataloader.sampler.shuffle=maybe", "as True or False"),
    ("randomness.seed=-1", "from 0 to 4294967295"),
    ("randomness.seed=4294967296", "from 0 to 4294967295"),
    ("model=1", "model as a dict"),
    ("model.backbone=abc", "model.backbone as a dict"),
    ("model.head.in_channels=text", "as a number or a list, got 'text'"),
    ("default_hooks.checkpoint.interval=abc", "as a number, got 'abc'"),
    ("work_dir=3", "work_dir as text"),
    ("log_level=LOUD", "such as INFO"),
    ("train_dataloader=[1]", "train_dataloader as a dict"),
    ("val_dataloader=None", "all of val_dataloader, val_cfg, val_evaluator or none"),
]


@pytest.mark.parametrize(("option", "message"), REFUSED, ids=[option for option, _ in REFUSED])
def test_what_does_not_fit_is_refused(option, message):
    with pytest.raises(ValueError) as caught:
        load_config("rtmpose_m_ap10k", parse_options([option]))
    assert message in str(caught.value)


@pytest.mark.parametrize("codec", CODECS)
def test_a_codec_of_other_sizes_than_the_decoder(codec):
    with pytest.raises(ValueError, match=rf"expected {codec}.simcc_split_ratio as .*decoder.*3\.0"):
        load_config("rtmpose_m_ap10k", {f"{codec}.simcc_split_ratio": 3.0})


@pytest.mark.parametrize(
    "pairs",
    [
        ["train_dataloader.batch_size=3", "optim_wrapper.optimizer.lr=0.01"],
        ["optim_wrapper.clip_grad=None"],
        ["optim_wrapper.type=AmpOptimWrapper", "optim_wrapper.loss_scale=dynamic"],
        ["val_dataloader=None", "val_cfg=None", "val_evaluator=None"],
        ["default_hooks.checkpoint.priority=LOW"],
        ["model.backbone.norm_cfg.requires_grad=False"],
        ["train_dataloader.prefetch_factor=4"],
        ["custom_hooks.2.momentum=1e-3"],
        ["sync_bn=torch"],
        ["train_dataloader.dataset.codec.sigma=(3.0,3.0)"],
        [f"{codec}.simcc_split_ratio=3.0" for codec in ("model.head.decoder", *CODECS)],
    ],
    ids=lambda pairs: pairs[0],
)
def test_what_fits_is_taken(pairs):
    load_config("rtmpose_m_ap10k", parse_options(pairs))


def test_what_a_config_may_leave_out_or_pass_on():
    cfg = read_config("rtmpose_m_ap10k")
    for key in {*cfg} - {"model", "test_dataloader", "default_scope"}:
        cfg.pop(key)
    check_config(cfg)
    load_config("td-hm_efficientnet-lite0_p1p2-512x512", {"model.backbone.drop_path_rate": 0.1})


def test_a_new_class_is_known_by_its_signature():
    from mmpose.registry import HOOKS

    @HOOKS.register_module()
    class HookOfThisTest(Hook):
        def __init__(self, often: int, loud: bool = False) -> None: ...

    cfg = read_config("rtmpose_m_ap10k")
    for arguments, message in (
        (dict(often=1, loud=True), None),
        (dict(oftn=1), "did you mean often"),
        (dict(), "found no often"),
        (dict(often="x"), "as a number, got 'x'"),
    ):
        cfg.custom_hooks = [dict(type="HookOfThisTest", priority="LOW", **arguments)]
        with pytest.raises(ValueError, match=message) if message else nullcontext():
            check_config(cfg)
    HOOKS.module_dict.pop("HookOfThisTest")


def test_configs_of_mmpose_are_taken():
    """What MMPose's own configs give is no mistake; some of them stand for all."""
    import mmpose

    configs = Path(mmpose.__file__).parent / ".mim" / "configs"
    files = sorted((configs / "body_2d_keypoint" / "topdown_heatmap").rglob("*.py"))[::12]
    files += sorted((configs / "animal_2d_keypoint" / "rtmpose").rglob("*.py"))
    assert len(files) > 6
    for path in files:
        check_config(read_config(path))


@pytest.mark.parametrize(
    ("split", "size", "is_refused"),
    [
        ("train", ((128, 128), (16, 16)), False),
        ("train", ((128, 128), (32, 32)), True),  # cells of another size
        ("val", ((128, 128), (16, 16)), True),
    ],
)
def test_a_training_may_see_crops_of_another_size(split, size, is_refused):
    cfg = load_config("td-hm_efficientnet-lite0_horse26-192x192")
    codec = cfg[f"{split}_dataloader"].dataset.codec
    codec.update(input_size=size[0], heatmap_size=size[1])
    if not is_refused:
        check_config(cfg)
        return
    with pytest.raises(ValueError, match=f"{split}_dataloader.dataset.codec"):
        check_config(cfg)


def test_a_head_of_vectors_is_bound_to_its_input():
    cfg = load_config("rtmpose_m_ap10k")
    cfg.train_dataloader.dataset.codec.update(input_size=(192, 192))
    with pytest.raises(ValueError, match="train_dataloader.dataset.codec.input_size"):
        check_config(cfg)
