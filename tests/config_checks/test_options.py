"""Options that would change nothing are refused with the keys that do."""

import pytest

from equikpt.config_checks.options import copies_of, load_config, parse_options
from equikpt.core.configs import list_configs, read_config

PIPELINE = "train_dataloader.dataset.pipeline"


def test_options_take_numbers_lists_and_texts():
    options = parse_options(["a.b=8", "c=[1,2]", "d.e=text=with=equals", "f=None"])
    assert options == {"a.b": 8, "c": [1, 2], "d.e": "text=with=equals", "f": None}
    assert parse_options(None) == {}


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["novalue"], "as KEY=VALUE"),
        (["=3"], "as KEY=VALUE"),
        (["model.=3"], "as KEY=VALUE"),
        (["a=[1"], "brackets that match"),
        (["a=(1]"], "brackets that match"),
        (["a=1", "a=2"], "one option for a"),
        (["a=1", "a.b=2"], "got a and a.b"),
        (["a.b=2", "a=1"], "got a.b and a"),
    ],
)
def test_refuses_what_is_no_option(pairs, message):
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        parse_options(pairs)


SPLITS = ("train", "val", "test")
COPIES = [
    (
        "rtmpose_m_ap10k",
        "codec.sigma",
        {"model.head.decoder.sigma", *(f"{s}_dataloader.dataset.codec.sigma" for s in SPLITS)},
    ),
    ("rtmpose_m_ap10k", "train_pipeline.2.prob", {f"{PIPELINE}.2.prob"}),
    ("rtmpose_m_ap10k", "train_geometry.2.prob", {f"{PIPELINE}.2.prob"}),
    ("rtmpose_m_ap10k", "train_pixels.1.transforms.0.p", {f"{PIPELINE}.7.transforms.0.p"}),
    ("rtmpose_m_ap10k", "data_root", {f"{s}_dataloader.dataset.data_root" for s in SPLITS}),
    ("rtmpose_m_ap10k", "loader.num_workers", {f"{s}_dataloader.num_workers" for s in SPLITS}),
    (
        "td-hm_efficientnet-lite0_p1p2-512x512",
        "ruler_mm",
        {"val_evaluator.ruler_mm", "test_evaluator.ruler_mm"},
    ),
    (
        "td-hm_efficientnet-lite0_p1p2-refine-192x192",
        "crop_fraction",
        {f"{s}_dataloader.dataset.crop_fraction" for s in SPLITS},
    ),
    ("rtmpose_m_ap10k", "backend_args.backend", set()),
]


@pytest.mark.parametrize(("config", "option", "paths"), COPIES, ids=[row[1] for row in COPIES])
def test_a_key_that_builds_others_is_found_where_it_went(config, option, paths):
    assert copies_of(read_config(config).to_dict(), option) == paths


def test_a_size_is_found_wherever_it_was_copied_to():
    found = copies_of(read_config("rtmpose_m_ap10k").to_dict(), "codec.input_size")
    assert {"model.head.input_size", "train_dataloader.dataset.codec.input_size"} < found


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("data_root=/elsewhere", "train_dataloader.dataset.data_root"),
        ("data_root=/elsewhere", "--data-root sets them all"),
        ("codec.sigma=3", "set model.head.decoder.sigma, test_dataloader.dataset"),
        ("backend_args.backend=x", "nothing reads backend_args"),
        ("train_dataloder.batch_size=8", "did you mean train_dataloader"),
        ("default_hooks.early_stoping=None", "did you mean early_stopping"),
        ("default_hooks.early_stoping.patience=3", "did you mean early_stopping"),
        ("model.test_cfg.flip_tst=True", "did you mean flip_test"),
        ("train_dataloader.dataset.pipeline.99.prob=0", "(0 to 10), got '99'"),
        ("train_dataloader.dataset.pipeline.-1.prob=0", "(0 to 10), got '-1'"),
        ("load_from.x=1", "load_from is 'zoo://rtmpose_m_ap10k'"),
        ("launcher=pytorch", "--launcher"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(option, message):
    with pytest.raises(ValueError) as caught:
        load_config("rtmpose_m_ap10k", parse_options([option]))
    assert message in str(caught.value)


def test_the_keys_that_are_named_work():
    option = "rtmpose_m_ap10k"
    for place in copies_of(read_config(option).to_dict(), "codec.sigma"):
        cfg = load_config(option, {place: (1.0, 1.0)})
        value = cfg
        for part in place.split("."):
            value = value[int(part) if part.isdecimal() else part]
        assert value == (1.0, 1.0)


def test_none_takes_hooks_out_and_models_read_options():
    cfg = load_config("rtmpose_m_ap10k", {"default_hooks.early_stopping": None})
    assert "early_stopping" not in cfg.default_hooks
    assert "checkpoint" in cfg.default_hooks
    cfg = load_config("rtmpose_m_ap10k", {"default_hooks.timer": None})
    assert cfg.default_hooks.timer is None  # without the key the runner would add its own
    options = {"model.test_cfg.output_heatmaps": True, "model.test_cfg.flip_test": False}
    assert load_config("rtmpose_m_ap10k", options).model.test_cfg.output_heatmaps
    options = {"model.test_cfg.separate_pairs": True}  # of a class of equikpt's own
    assert load_config("hrnet_w32_ap10k", options).model.test_cfg.separate_pairs


@pytest.mark.parametrize("name", list_configs())
def test_no_config_is_refused(name):
    load_config(name)
