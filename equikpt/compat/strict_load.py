"""Weights fit a model, or loading them stops.

MMEngine's ``Runner`` and MMPose's ``init_model`` load non-strictly: what is missing keeps its
random values, with a warning in the log, and a test of them ends well. They, the EMA hook and
pretrained initialisation load through ``mmengine.runner.checkpoint.load_state_dict``, in whose
place :func:`install` puts :func:`load_state_dict`. A model gets all of its tensors. A part of one,
such as a backbone that starts from a classifier's weights, may keep a few tensors as they are. A
module that has a method ``without_weights`` is optional: a checkpoint may lack all of its tensors,
and then that is called, which has the module give nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import _IncompatibleKeys

from equikpt.compat.work_dir import check_training_state
from equikpt.core.checkpoint_weights import (
    SHOWN,
    Misfit,
    Shape,
    fit_names,
    loading,
    sentence,
    source,
    versions_of,
    weights_of,
)

MIN_PART_FRACTION = 0.5
"""Fraction of a part's tensors that its pretrained weights have to give; another width has few."""

SCHEDULE_KEYS = ("begin", "end", "T_max", "periods", "milestones", "step_size", "patience")
"""Options of a scheduler, which a checkpoint's state would put back silently."""


def install() -> None:
    """Make every loader of MMEngine and MMPose a strict one."""
    import mmengine.runner
    from mmengine.runner import Runner, checkpoint

    checkpoint.load_state_dict = mmengine.runner.load_state_dict = load_state_dict
    checkpoint._load_checkpoint_with_prefix = load_part
    Runner.load_checkpoint = load_checkpoint


def load_weights(model: nn.Module, path: str) -> dict:
    """Load a checkpoint file into a model, and return the checkpoint.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file cannot be read, or does not fit the model.
    """
    from mmengine.runner.checkpoint import CheckpointLoader

    with loading(path):
        checkpoint = CheckpointLoader.load_checkpoint(path, map_location="cpu")
        _load_strictly(model, weights_of(checkpoint))
    return checkpoint


def load_checkpoint(
    runner: Any,
    filename: str,
    map_location: Any = "cpu",
    strict: bool = False,
    revise_keys: Sequence[tuple[str, str]] = (),
) -> dict:
    """Take the place of ``Runner.load_checkpoint``; hooks see the names of the model.

    A model is loaded strictly whatever ``strict`` says.

    Raises:
        ValueError: The file does not fit the model, or no training can go on from it.
    """
    from mmengine.runner.checkpoint import CheckpointLoader, _load_checkpoint_to_model

    model = unwrap(runner.model)
    with loading(filename):
        checkpoint = CheckpointLoader.load_checkpoint(filename, map_location)
        if runner._resume:
            check_training_state(checkpoint, filename)
            _check_optimizer(checkpoint, runner.optim_wrapper)
            _check_schedule(checkpoint, runner.param_schedulers)
        checkpoint = _under_names(checkpoint, model)
        if runner._resume:
            _check_average(checkpoint)
        runner.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        _load_checkpoint_to_model(model, checkpoint, strict, revise_keys=list(revise_keys))
    runner._has_loaded = True
    runner.logger.info(f"Load checkpoint from {filename}")
    return checkpoint


def load_state_dict(
    module: nn.Module, state_dict: Mapping[str, Any], strict: bool = False, logger: Any = None
) -> None:
    """Take the place of ``mmengine.runner.checkpoint.load_state_dict``.

    Args:
        module: A model, or a part of one, which is loaded strictly only if ``strict``.
        state_dict: Weights, bare or in a checkpoint, under the names of ``module`` or its wrapper.
        strict: Load a part as strictly as a model.
        logger: Of the warning about a part that is not whole.

    Raises:
        ValueError: They do not fit.
    """
    from mmengine.logging import print_log
    from mmengine.model import BaseModel

    module = unwrap(module)
    state = weights_of(state_dict)
    if strict or isinstance(module, BaseModel):
        _load_strictly(module, state)
        return
    misfit = _copy(module, fit_names(state, _state_of(module), prefixed=False))
    loaded = misfit.total - len(misfit.missing) - len(misfit.misshapen)
    if loaded < MIN_PART_FRACTION * misfit.total:
        raise ValueError(
            f"expected in {source.get()} pretrained weights for the {misfit.total} tensors of "
            f"{type(module).__name__}, found {loaded} of them ({misfit.describe()}): give the "
            "weights of this network, and as init_cfg.prefix what their names begin with"
        )
    if loaded < misfit.total:
        print_log(
            f"{loaded} of the {misfit.total} tensors of {type(module).__name__} start from "
            f"pretrained weights: {misfit.describe()}",
            logger=logger,
            level=logging.WARNING,
        )


def load_part(prefix: str, filename: str, map_location: Any = None) -> dict[str, Any]:
    """Take the place of ``mmengine.runner.checkpoint._load_checkpoint_with_prefix``.

    Raises:
        ValueError: No tensor's name begins with ``prefix``.
    """
    from mmengine.runner.checkpoint import CheckpointLoader

    prefix = prefix.removesuffix(".") + "."
    state = weights_of(CheckpointLoader.load_checkpoint(filename, map_location))
    state = fit_names(state, names=())
    part = {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}
    if not part:
        first = ", ".join(dict.fromkeys(name.split(".")[0] for name in state))
        raise ValueError(
            f"expected tensors named {prefix}… in {filename}, found {first[:200]}; give as "
            "init_cfg.prefix what the names of the wanted part begin with"
        )
    return part


def _load_strictly(model: nn.Module, state: Mapping[str, Any]) -> None:
    from mmengine.logging import print_log

    state = _fitted(state, _state_of(model))
    misfit = _copy(model, state)
    for name, part in model.named_modules():
        prefix = f"{name}."
        if hasattr(part, "without_weights") and not any(key.startswith(prefix) for key in state):
            part.without_weights()
            missing = [key for key in misfit.missing if not key.startswith(prefix)]
            misfit = replace(misfit, missing=missing)
            print_log(f"{source.get()} has no {name}, which gives nothing until trained", "current")
    if misfit:
        raise ValueError(sentence(misfit, model))


def _fitted(state: Mapping[str, Any], names: Mapping[str, Any]) -> Mapping[str, Any]:
    from mmengine.logging import print_log

    fitted = fit_names(state, names)
    if len(fitted) < len(state):
        others = len(state) - len(fitted)
        print_log(f"{source.get()}: left out {others} tensors beside the model's", "current")
    return fitted


def _copy(module: nn.Module, state: Mapping[str, Any]) -> Misfit:
    """Copy the tensors that fit, and return the others.

    Classes convert older names and shapes while they load (``_load_from_state_dict``), so nothing
    else shows which fit. Whole numbers, such as BN's counters, may be missing; so may
    normalisation, which a config sets.
    """
    versions = versions_of(state)
    keys = _IncompatibleKeys([], [])
    misshapen: dict[str, tuple[Shape, Shape]] = {}
    given: dict[str, Any] = {}

    def load(module: nn.Module, state: dict[str, Any], prefix: str) -> None:
        module = unwrap(module)
        errors: list[str] = []
        version = versions.get(prefix[:-1], {})
        module._load_from_state_dict(state, prefix, version, True, *keys, errors)
        given.update(state)  # under the names that the class gave them
        if errors:
            misshapen.update(_misshapen(module, state, prefix, errors))
        for name, child in module._modules.items():
            if child is not None:
                inner = f"{prefix}{name}."
                load(child, {k: v for k, v in state.items() if k.startswith(inner)}, inner)
        for hook in module._load_state_dict_post_hooks.values():
            hook(module, keys)

    load(module, dict(state), "")
    ours = _state_of(module)
    return Misfit(
        total=sum(_is_learnt(name, tensor) for name, tensor in ours.items()),
        missing=[name for name in keys.missing_keys if _is_learnt(name, ours.get(name))],
        unexpected=[name for name in keys.unexpected_keys if _is_learnt(name, given.get(name))],
        misshapen=misshapen,
    )


def _misshapen(
    module: nn.Module, state: Mapping[str, Any], prefix: str, errors: Sequence[str]
) -> dict[str, tuple[Shape, Shape]]:
    found = {}
    for name, ours in (*module._parameters.items(), *module._buffers.items()):
        theirs = state.get(prefix + name)
        if ours is not None and isinstance(theirs, Tensor) and theirs.shape != ours.shape:
            found[prefix + name] = tuple(theirs.shape), tuple(ours.shape)
    if not found:
        raise ValueError(f"{source.get()} does not load: {errors[0]}")
    return found


def _is_learnt(name: str, value: Any) -> bool:
    is_number = isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex())
    return is_number and "data_preprocessor" not in name.split(".")


def _under_names(checkpoint: dict, model: nn.Module) -> dict:
    names = _state_of(model)
    state = _fitted(weights_of(checkpoint), names)
    others = {key: value for key, value in checkpoint.items() if not isinstance(value, Tensor)}
    result = {**others, "state_dict": state}
    average = checkpoint.get("ema_state_dict")
    if isinstance(average, Mapping):
        result["ema_state_dict"] = {
            f"module.{name}" if name in names else name: value
            for name, value in fit_names(average, names).items()
        }
    return result


def _check_optimizer(checkpoint: Mapping[str, Any], optim_wrapper: Any) -> None:
    saved = checkpoint["optimizer"].get("param_groups")
    # not the wrapper's own groups, to which MMEngine adds one with the base rate
    now = getattr(getattr(optim_wrapper, "optimizer", optim_wrapper), "param_groups", None)
    if not isinstance(saved, list) or not isinstance(now, list):
        return  # several optimizers, or none yet
    theirs, ours = ([len(group["params"]) for group in groups] for groups in (saved, now))
    if theirs != ours:
        raise ValueError(
            f"expected in {source.get()} an optimizer of {sum(ours)} tensors in {len(ours)} param "
            f"groups as this config has it, found {sum(theirs)} in {len(theirs)}: resume with the "
            "config of that training, or start a new one by load_from"
        )


def _check_schedule(checkpoint: Mapping[str, Any], schedulers: Any) -> None:
    states = checkpoint.get("param_schedulers")
    is_built = isinstance(schedulers, list) and all(hasattr(s, "last_step") for s in schedulers)
    if not isinstance(states, list) or not is_built:
        return  # of several optimizers, or a test
    kinds = ", ".join(type(each).__name__ for each in schedulers)
    unequal = [] if len(states) == len(schedulers) else [f"{len(states)} schedulers for {kinds}"]
    for scheduler, state in zip(schedulers, states, strict=False):
        ours = {key: vars(scheduler)[key] for key in SCHEDULE_KEYS if key in vars(scheduler)}
        unequal += [
            f"{type(scheduler).__name__}.{key} {state.get(key)} instead of {value}"
            for key, value in ours.items()
            if state.get(key) != value
        ]
    if unequal:
        raise ValueError(
            f"expected in {source.get()} the schedule of this config, found another "
            f"({'; '.join(unequal[:SHOWN])}): epochs, batch size and number of images belong to a "
            "training; resume with those that it began with, or start a new one by load_from"
        )


def _check_average(checkpoint: Mapping[str, Any]) -> None:
    """See that each weight has its average, since ``EMAHook`` swaps those that it finds."""
    state, average = checkpoint["state_dict"], checkpoint.get("ema_state_dict")
    if average is None:
        return
    unequal = [
        name
        for name, tensor in state.items()
        if _is_learnt(name, tensor)
        and getattr(average.get(f"module.{name}"), "shape", None) != tensor.shape
    ]
    if unequal:
        raise ValueError(
            f"expected in {source.get()} the running average of each of {len(state)} tensors, "
            f"not for {len(unequal)} or in another shape ({', '.join(unequal[:SHOWN])}); "
            "resume from another checkpoint of the same training"
        )


def _state_of(model: nn.Module) -> Mapping[str, Tensor]:
    from mmengine.runner.checkpoint import get_state_dict  # without wrappers around its parts

    return get_state_dict(model)


def unwrap(module: nn.Module) -> Any:
    """The model inside DDP or a wrapper for test-time augmentation."""
    from mmengine.model import BaseTTAModel, is_model_wrapper

    wraps = is_model_wrapper(module) or isinstance(module, BaseTTAModel)
    return module.module if wraps else module
