from __future__ import annotations

from types import SimpleNamespace

from mmengine.config import Config

from equikpt.report.run.config_differences import config_differences, flattened


def differences(*configs: dict | None) -> dict[str, tuple[str, ...]]:
    runs = [SimpleNamespace(config=None if each is None else Config(each)) for each in configs]
    return {each.title: each.values for each in config_differences(runs)}


def test_only_what_differs_is_told():
    a = dict(train_cfg=dict(max_epochs=3, val_interval=1), load_from=None)
    b = dict(train_cfg=dict(max_epochs=5, val_interval=1), load_from="a.pth")
    assert differences(a, b) == {
        "train_cfg.max_epochs": ("3", "5"),
        "load_from": ("None", "a.pth"),
    }
    assert differences(a, a) == {}


def test_elements_of_lists_are_told_apart_by_their_type():
    """One more transform in front moves no other."""
    a = dict(custom_hooks=[dict(type="EMAHook", momentum=0.1), dict(type="Other")])
    b = dict(
        custom_hooks=[dict(type="New"), dict(type="EMAHook", momentum=0.2), dict(type="Other")]
    )
    assert differences(a, b) == {
        "custom_hooks[EMAHook].momentum": ("0.1", "0.2"),
        "custom_hooks[New]": ("–", "New()"),
    }


def test_a_type_that_comes_twice_and_elements_without_any():
    config = dict(
        param_scheduler=[dict(type="LinearLR", end=1), dict(type="LinearLR", end=2)],
        default_hooks=dict(phases=dict(phases=[dict(begin=0), dict(begin=9)])),
    )
    keys = {".".join(path).replace(".[", "[") for path in flattened(Config(config))}
    assert {"param_scheduler[LinearLR].end", "param_scheduler[LinearLR 2].end"} <= keys
    assert {"default_hooks.phases.phases[0].begin", "default_hooks.phases.phases[1].begin"} <= keys


def test_a_part_that_a_config_lacks_is_one_difference():
    neck = dict(type="FPN", out_channels=64, inside=dict(a=1))
    a, b = dict(model=dict(type="A")), dict(model=dict(type="A", neck=neck))
    assert differences(a, b) == {"model.neck": ("–", "FPN(out_channels=64, inside.a=1)")}


def test_the_same_difference_in_several_places_is_one():
    def sized(px: int) -> dict:
        codec = dict(size=(px, px), sigma=px / 64)
        return dict(model=dict(head=codec), train_dataloader=dict(codec=codec))

    assert differences(sized(64), sized(128)) == {
        "model.head.size (and 1 more)": ("[64, 64]", "[128, 128]"),
        "model.head.sigma (and 1 more)": ("1.0", "2.0"),
    }


def test_variables_of_a_config_and_its_work_dir_are_none():
    assert differences(dict(work_dir="a", codec=1), dict(work_dir="b", codec=2)) == {}


def test_long_values_are_cut():
    (values,) = differences(dict(load_from="a" * 9), dict(load_from="word " * 99)).values()
    assert len(values[1]) <= 160


def test_a_run_without_a_config_differs_in_nothing():
    a, b = dict(load_from="a"), dict(load_from="b")
    assert differences(a, None) == {}
    assert differences(a, None, b) == {"load_from": ("a", "–", "b")}
