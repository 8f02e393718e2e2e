"""Check the keys of a config against what takes them.

What may stand in a dict with a ``type`` is read from the signature of the registered class, so a
new hook, transform or head is known here as soon as it is registered. A class that takes any name
is left to check its arguments itself.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from inspect import Parameter
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import Registry
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner, TestLoop, ValLoop
from mmpose import registry as rooms
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader

from equikpt.config_checks.values import Argument, arguments_of, check_value, kind_of, shown
from equikpt.core.configs import nearest
from equikpt.core.pipelines import fill_codec

REGISTRIES: dict[str, Registry] = {
    key: registry
    for registry, *keys in (
        (rooms.MODELS, "model", "data_preprocessor"),
        (rooms.KEYPOINT_CODECS, "codec", "decoder", "encoder"),
        (rooms.WEIGHT_INITIALIZERS, "init_cfg"),
        (rooms.DATASETS, "dataset", "datasets"),
        (rooms.TRANSFORMS, "pipeline", "switch_pipeline"),
        (rooms.DATA_SAMPLERS, "sampler", "batch_sampler"),
        (rooms.OPTIM_WRAPPERS, "optim_wrapper"),
        (rooms.OPTIMIZERS, "optimizer"),
        (rooms.PARAM_SCHEDULERS, "param_scheduler"),
        (rooms.HOOKS, "custom_hooks"),
        (rooms.VISUALIZERS, "visualizer"),
        (rooms.VISBACKENDS, "vis_backends"),
        (rooms.LOG_PROCESSORS, "log_processor"),
        (rooms.METRICS, "val_evaluator", "test_evaluator", "metrics"),
    )
    for key in keys
}
"""Where the ``type`` of a dict under a key is registered. Below ``model``, whatever is not named
here is a part of the model; elsewhere it is not looked at."""

BUILT = (
    *("model", "optim_wrapper", "param_scheduler", "custom_hooks", "visualizer", "log_processor"),
    *("val_evaluator", "test_evaluator"),
)
"""Keys of a config that are built as they stand."""

OF_THE_BUILDER: dict[str, set[str]] = {
    "hook": {"priority"},
    "parameter scheduler": {"optimizer", "convert_to_iter_based"},
    "optim_wrapper": {"optimizer", "constructor", "paramwise_cfg"},
    "optimizer": {"params", "optimizer"},
    "data sampler": {"dataset", "seed"},
    "visualizer": {"name"},
    "loop": {"runner", "dataloader"},
}
"""By a registry's name: arguments that its builder adds, or takes away before the class sees it."""

COMPLETE = {"hook", "transform", "metric", "KEYPOINT_CODECS", "data sampler"}
"""Registries whose builders add no more than that: what is required must stand in the config."""

FIXED_KEYS: dict[str, tuple[str, ...]] = dict(
    auto_scale_lr=("enable", "base_batch_size"),
    env_cfg=("cudnn_benchmark", "mp_cfg", "dist_cfg", "resource_limit"),
)
"""Keys of dicts that the runner takes apart by itself."""

CODEC_SIZES = ("input_size", "heatmap_size", "simcc_split_ratio")
"""Options in which the codec of a data set and the head's decoder must agree."""


def check_config(cfg: Config) -> None:
    """Refuse keys, types and values of a config with all its options that do not fit.

    Raises:
        ValueError: There is one; the message has its dotted path.
    """
    if cfg.get("model") is None:
        raise ValueError(
            f"expected a config with a model, found the keys {', '.join(cfg) or 'none'}"
        )
    _typed("", cfg, "model")
    for key, argument in arguments_of(Runner).named.items():
        if key in cfg:
            check_value(key, cfg[key], argument)
    for split in ("train", "val", "test"):
        _check_split(cfg, split)
    codec = (cfg.get("train_dataloader") or {}).get("dataset", {}).get("codec")
    for name, hook in (cfg.get("default_hooks") or {}).items():
        if isinstance(hook, Mapping) and "type" not in hook:
            known = [key for key in cfg["default_hooks"] if key != name]
            raise ValueError(
                f"expected default_hooks.{name} to have a type; the config has no hook of that "
                f"name, {nearest(name, known)}"
            )
        _walk(f"default_hooks.{name}", hook, rooms.HOOKS, codec)
    for key in BUILT:
        _walk(key, cfg.get(key), REGISTRIES[key])
    _check_codecs(cfg)
    for key, fixed in FIXED_KEYS.items():
        check_keys(key, cfg.get(key), "the runner", fixed)
    _check_call("randomness", cfg.get("randomness") or {}, Runner.set_randomness)
    level = cfg.get("log_level", "INFO")
    if not isinstance(logging.getLevelName(level), int):
        raise ValueError(f"expected log_level such as INFO or WARNING, got {level!r}")


def _check_codecs(cfg: Config) -> None:
    """Refuse a data set whose codec has other sizes than the one that decodes.

    Heatmaps of a training may be of smaller or larger crops, if their cells stay as large.
    """
    decoder = cfg.model.get("head", {}).get("decoder") or {}
    for split in ("train", "val", "test"):
        codec = ((cfg.get(f"{split}_dataloader") or {}).get("dataset") or {}).get("codec") or {}
        if split == "train" and _cell_px(codec) and _cell_px(codec) == _cell_px(decoder):
            continue
        for key in CODEC_SIZES:
            given, wanted = codec.get(key), decoder.get(key)
            if not (given is None or wanted is None or np.array_equal(given, wanted)):
                raise ValueError(
                    f"expected {split}_dataloader.dataset.codec.{key} as model.head.decoder.{key}, "
                    f"{shown(wanted)}, got {shown(given)}; set both, for train, val and test"
                )


def _cell_px(codec: Mapping) -> list[float]:
    """Sides of a heatmap's cells, px of the input; none of a codec without heatmaps."""
    input_size, cells = codec.get("input_size"), codec.get("heatmap_size")
    return np.divide(input_size, cells).tolist() if input_size and cells else []


def check_keys(path: str, value: Mapping | None, taker: str, known: Iterable[str]) -> None:
    """Refuse a key of a dict that is not ``known``."""
    names = [name for name in known if not name.startswith("_")]
    for key in value or ():
        if key not in names and key not in ("type", "_scope_"):
            raise ValueError(
                f"expected a key that {taker} takes at {path}, got {key!r}; {nearest(key, names)}"
            )


def _check_split(cfg: Config, split: str) -> None:
    """Check the loader and the loop of a split, which go together with what it is for."""
    parts = [f"{split}_dataloader", f"{split}_cfg"]
    parts += ["optim_wrapper"] if split == "train" else [f"{split}_evaluator"]
    given = [part for part in parts if cfg.get(part) is not None]
    # a part that is not there at all is no mistake: Predictor needs a loader alone
    if given and any(part in cfg and part not in given for part in parts):
        raise ValueError(
            f"expected all of {', '.join(parts)} or none of them, found {', '.join(given)}; "
            "set the others too, or all to None"
        )
    if not given:
        return
    loader, loop = cfg.get(parts[0]), cfg.get(parts[1])
    if kind_of(loader) not in ("other", "none"):  # an object that was built already
        extra = ("dataset", "num_batch_per_epoch", "disable_subprocess_warning")
        _check_call(parts[0], loader, DataLoader, extra)
        for key in ("dataset", "sampler", "batch_sampler"):
            if key in loader or key != "batch_sampler":
                _walk(f"{parts[0]}.{key}", _typed(parts[0], loader, key), REGISTRIES[key])
    if loop is None:
        return
    if kind_of(loop) == "other" or "type" in loop:
        _walk(parts[1], loop, rooms.LOOPS)
        return
    if split == "train" and "by_epoch" not in loop:
        raise ValueError("expected train_cfg.by_epoch or train_cfg.type, found neither")
    check_value(f"{parts[1]}.by_epoch", loop.get("by_epoch", True), Argument(bool, True))
    by_epoch = EpochBasedTrainLoop if loop.get("by_epoch") else IterBasedTrainLoop
    target = dict(train=by_epoch, val=ValLoop, test=TestLoop)[split]
    _check_call(parts[1], loop, target, ("by_epoch",) if split == "train" else ())


def _typed(path: str, parent: Mapping | Config, key: str) -> Mapping:
    value = parent.get(key)
    if not isinstance(value, Mapping) or "type" not in value:
        path = f"{path}.{key}".lstrip(".")
        raise ValueError(f"expected {path} as a dict with a type, got {shown(value)}")
    return value


def _walk(path: str, value: Any, registry: Registry | None, codec: Any = None) -> None:
    """Check a value of a config and all below it, whose types are in ``registry``, if any.

    The codec of a data set fills crops and targets of its pipeline.
    """
    if isinstance(value, list | tuple):
        steps = isinstance(codec, Mapping) and registry is rooms.TRANSFORMS
        for index, item in enumerate(fill_codec(value, codec) if steps else value):
            _walk(f"{path}.{index}", item, registry, codec)
    elif isinstance(value, Mapping):
        if registry is not None and "type" in value:
            _check_typed(path, value, registry)
        elif registry is rooms.OPTIM_WRAPPERS:
            _check_typed(path, {"type": "OptimWrapper", **value}, registry)
        elif registry is rooms.HOOKS:
            raise ValueError(f"expected {path} as a dict with a type, got {shown(value)}")
        of_model = rooms.MODELS if registry is rooms.MODELS else None
        codec = value.get("codec", codec)
        for key in sorted(value, key=lambda key: key != "codec"):  # before it fills others
            _walk(f"{path}.{key}", value[key], REGISTRIES.get(key, of_model), codec)


def _check_typed(path: str, value: Mapping, registry: Registry) -> None:
    """Check a dict with a ``type``: that it is registered, and what it is given."""
    name, room = value["type"], _family(registry)[-1].name
    if not isinstance(name, str):
        if not callable(name):
            raise ValueError(f"expected {path}.type as a name, got {shown(name)}")
        return
    others = (rooms.TASK_UTILS,) if room == "model" else ()  # assigners and the like
    target = _registered(f"{path}.type", name, room.replace("_", " "), registry, *others)
    if target is None or path.rsplit(".", 1)[-1].endswith(("_cfg", "_cfgs")):
        return  # norm_cfg and the like: the function that builds it takes more
    _check_call(path, value, target, OF_THE_BUILDER.get(room, ()), room in COMPLETE)
    if room == "optim_wrapper":
        _check_call(f"{path}.clip_grad", value.get("clip_grad") or {}, clip_grad_norm_)
        constructor = value.get("constructor", "DefaultOptimWrapperConstructor")
        if isinstance(constructor, str):
            registry = rooms.OPTIM_WRAPPER_CONSTRUCTORS
            _registered(f"{path}.constructor", constructor, "constructor", registry)


def _registered(path: str, name: str, kind: str, *registries: Registry) -> Callable | None:
    """Find what a name is registered for; None for a dotted name, on which its own build decides.

    Raises:
        ValueError: A name that is not registered; the message has the nearest ones.
    """
    for registry in registries:
        with contextlib.suppress(ImportError, KeyError, AttributeError):  # a scope not installed
            if (target := registry.get(name)) is not None:
                return target
    if "." in name:
        return None
    known = sorted({key for each in _family(registries[0]) for key in each.module_dict})
    raise ValueError(
        f"expected the name of a registered {kind} at {path}, got {name!r}; {nearest(name, known)}"
    )


def _check_call(
    path: str,
    value: Mapping,
    target: Callable,
    extra: Iterable[str] = (),
    complete: bool = False,
) -> None:
    """Check the arguments that a config gives to a class or a function, and ``extra`` ones.

    Where ``complete``, what is required must be there.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"expected {path} as a dict, got {shown(value)}")
    arguments, others = arguments_of(target)
    if not others:
        check_keys(path, value, target.__name__, (*arguments, *extra))
    for key, item in value.items():
        check_value(f"{path}.{key}", item, arguments.get(key))
    own = "__init__" in vars(target)  # an inherited one may be given arguments by this class
    required = [key for key, each in arguments.items() if each.default is Parameter.empty]
    missing = [key for key in required if key not in value and key not in extra]
    if complete and own and missing and not others:
        raise ValueError(
            f"expected {path} to have what {target.__name__} needs, found no "
            f"{' and no '.join(missing)}"
        )


def _family(registry: Registry) -> list[Registry]:
    """The registry and those that it falls back on."""
    family = [registry]
    while (parent := family[-1].parent) is not None:
        family.append(parent)
    return family
