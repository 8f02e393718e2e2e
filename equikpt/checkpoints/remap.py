"""The weights of one keypoint set in a model of another, point by point.

A head's output layer has one channel a keypoint, so a checkpoint of 17 points does not load into
a model of 26, and MMPose then drops the layer. Yet most of the 26 are among the 17, at the same
place on the animal (:mod:`equikpt.metainfo.correspondence`): their channels are copied.

The channels of the other points start from the mean of the copied ones: what "some point of a
horse" looks like. It answers, weakly, wherever there is a joint, so the gradient starts from the
features that tell joints from the rest, and at a trained channel's scale. In RTMPose it matters
for the copied points as well. There each map is divided by its norm (``ScaleNorm``) before all
points attend to all: a random channel, however small, becomes a loud voice, and at zero the
gradient is a hundred thousand times the usual one. The small twin of ``rtmpose_m_ap10k``, trained
on sample data, taken down to AP-10K's 17 points and up again, found 0.84 of the 17 within 0.05 of
the input before, 0.83 with the mean and 0.31 with random channels as MMPose draws them (60 drawn
horses). The mean of a point's neighbours in the skeleton kept 0.84. But in a heatmap head its
peaks on the neighbours have to be unlearnt: of the nine new points, 10 steps of the output layer
alone found 0.78 within 0.1 from the mean of all, 0.62 from that of the neighbours; after 100 steps
all starts were equal.

A point with one label for both sides (:data:`~equikpt.metainfo.correspondence.FACING_CAMERA`) is
not copied to either side: ``mapping`` leaves it out, since a channel that answers to both sides
would teach the model to mix them up.

What this keeps. In a heatmap head every channel is a function of its own weights: the maps of the
copied points are the ones before. In an RTMCC head the same holds up to the attention unit
(``final_layer`` and ``mlp``), which hears the new points too: those predictions move a little, by
a median of 1 px of 128 in the twin above.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import equikpt
from equikpt.checkpoints.remap_state import TensorRow, head_family, remap_state_dict
from equikpt.compat.safe_load import load_from_local
from equikpt.config_checks.options import load_config
from equikpt.core.checkpoint_weights import fit_names, versions_of, weights_of
from equikpt.core.configs import strip_pretrained_init
from equikpt.core.project import find_checkpoint
from equikpt.metainfo.correspondence import AP10K_FILE_NAMES, KEYPOINT_NAMES
from equikpt_runtime.files import refuse_existing, write_bytes

BACKBONE = "backbone."
"""Prefix of the backbone's tensors in MMPose's estimators."""


def remap_checkpoint(
    checkpoint: Mapping[str, Any],
    model: nn.Module,
    source: str,
    target: str = "horse26",
    allow_missing: Iterable[str] = (),
) -> tuple[dict[str, Tensor], list[TensorRow]]:
    """Fit ``checkpoint`` to ``model``: all tensors of the model, and a row for each.

    :func:`.remap_state.remap_state_dict` decides which is which; tensors that keep the values that
    they start with have those of ``model``.

    Args:
        checkpoint: A state dict, or a dict that holds one, with the names of MMPose 1.x or 0.x and
            with whatever :func:`equikpt.core.checkpoint_weights.fit_names` takes off.
        model: Pose estimator with a ``head``.
        source: The checkpoint's keypoint set.
        target: The model's.
        allow_missing: Patterns of tensors that may keep the values they start with.

    Raises:
        TypeError: The head's class is not known, or ``allow_missing`` is a string.
        ValueError: As there, or the checkpoint holds no weights or names other keypoints than
            ``source`` has.
    """
    head = getattr(model, "head", None)
    if head is None:
        raise TypeError(
            f"expected a model with a head to remap, {type(model).__name__} has none; give a pose "
            "estimator such as TopdownPoseEstimator"
        )
    family = head_family(head)
    _check_point_names(checkpoint, source, target)
    model_state = model.state_dict()
    weights = fit_names(weights_of(checkpoint), model_state)
    state, rows = remap_state_dict(
        _in_present_names(weights, versions_of(weights), model),
        model_state,
        family,
        source,
        target,
        allow_missing,
    )
    return _whole(state, model_state), rows


def take_backbone(
    checkpoint: Mapping[str, Any], model: nn.Module
) -> tuple[dict[str, Tensor], list[TensorRow]]:
    """Give ``model`` the backbone of ``checkpoint``: all tensors of the model, and a row for each.

    Neck and head keep the values that they start with.

    Args:
        checkpoint: A backbone alone, or anything that holds one, such as a classifier.
        model: Pose estimator with a ``backbone``.

    Raises:
        ValueError: A tensor of the backbone is missing, or has another shape.
    """
    model_state = model.state_dict()
    of_backbone = {
        name.removeprefix(BACKBONE): value
        for name, value in model_state.items()
        if name.startswith(BACKBONE)
    }
    weights = fit_names(weights_of(checkpoint), of_backbone)
    unfit = [
        f"{name} ({tuple(getattr(weights.get(name), 'shape', ()))} instead of {tuple(ours.shape)})"
        if name in weights
        else f"{name} (not there)"
        for name, ours in of_backbone.items()
        if getattr(weights.get(name), "shape", None) != ours.shape
        and not name.endswith(".num_batches_tracked")  # not always saved
    ]
    if unfit:
        raise ValueError(
            f"expected a checkpoint with the {len(of_backbone)} tensors of this backbone, "
            f"{len(unfit)} do not fit: {', '.join(unfit[:5])}; take one of this very network"
        )
    state = {BACKBONE + name: weights[name] for name in of_backbone if name in weights}
    rows = [
        TensorRow(name, "loaded" if name in state else "initialised", tuple(value.shape))
        for name, value in model_state.items()
    ]
    rows += [
        TensorRow(name, "unused", tuple(value.shape))
        for name, value in weights.items()
        if name not in of_backbone
    ]
    return _whole(state, model_state), rows


def _whole(state: Mapping[str, Tensor], model_state: Any) -> dict[str, Tensor]:
    """``state`` with the rest as the model has it, so that what is loaded is whole."""
    result = type(model_state)((name, state.get(name, v)) for name, v in model_state.items())
    # the versions of the classes: without them, MMPose takes the names for old ones
    vars(result)["_metadata"] = vars(model_state)["_metadata"]
    return result


def remap_file(
    checkpoint: str | Path,
    out: str | Path,
    config: str,
    source: str,
    target: str = "horse26",
    allow_missing: Iterable[str] = (),
    overwrite: bool = False,
) -> list[TensorRow]:
    """Write the fitted checkpoint to a file, for ``load_from`` of any MMPose config.

    It is whole: tensors that the checkpoint does not give have the values that a model starts with.

    Raises:
        FileExistsError: ``out`` exists and ``overwrite`` is not set.
        FileNotFoundError: There is no such checkpoint or config.
        TypeError, ValueError: As :func:`remap_checkpoint`, or the checkpoint cannot be read.
    """
    from mmengine.logging import MMLogger
    from mmengine.registry import init_default_scope
    from mmpose.registry import MODELS

    out = Path(out)
    refuse_existing(out, overwrite)
    checkpoint = find_checkpoint(checkpoint)
    loaded = load_from_local(str(checkpoint), map_location="cpu")
    cfg = load_config(config)
    init_default_scope(cfg.get("default_scope", "mmpose"))
    strip_pretrained_init(cfg.model)
    model = MODELS.build(cfg.model)
    MMLogger.get_current_instance().setLevel("WARNING")  # it would name each tensor's start
    model.init_weights()
    state, rows = remap_checkpoint(loaded, model, source, target, allow_missing)
    # a fresh meta: MMPose would take the points of the old one for those of the model
    meta = dict(
        remapped_from=checkpoint.resolve().name,
        source=source,
        target=target,
        keypoints=list(KEYPOINT_NAMES[target]),
        equikpt_version=equikpt.__version__,
    )
    content = io.BytesIO()
    torch.save(dict(state_dict=state, meta=meta), content)
    write_bytes(out, content.getvalue())
    return rows


def _in_present_names(
    weights: Mapping[str, Tensor], versions: Mapping[str, dict], model: nn.Module
) -> dict[str, Tensor]:
    """Rename tensors of older releases by the model's own conversion.

    MMPose 1.x converts weights of 0.x while a model loads them (``_load_state_dict_pre_hook`` of
    the estimator and of the head); this runs the same code on the weights alone.
    """
    # MMPose drops these without a word; here they get their row
    settings = {name: v for name, v in weights.items() if name.startswith("data_preprocessor.")}
    state = {name: value for name, value in weights.items() if name not in settings}
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        for hook in module._load_state_dict_pre_hooks.values():
            part = {name: state.pop(name) for name in list(state) if name.startswith(prefix)}
            try:
                hook(part, prefix, versions.get(name, {}), True, [], [], [])
            except AssertionError as error:
                raise ValueError(
                    f"expected a checkpoint of a {type(module).__name__} with the same layers as "
                    "the model's, got one of MMPose 0.x with others; compare extra.num_conv_layers "
                    "of its config with conv_out_channels of the model"
                ) from error
            state.update(part)
    return {**state, **settings}


def _check_point_names(checkpoint: Mapping[str, Any], source: str, target: str) -> None:
    """COCO's people and AP-10K's animals both have 17 points: go by names where there are any."""
    names_by_id: Any = checkpoint
    for key in ("meta", "dataset_meta", "keypoint_id2name"):
        names_by_id = names_by_id.get(key) if isinstance(names_by_id, Mapping) else None
    if not isinstance(names_by_id, Mapping) or source not in KEYPOINT_NAMES:
        return
    found = [str(names_by_id[number]) for number in sorted(names_by_id)]
    known = [KEYPOINT_NAMES[name] for name in (source, target) if name in KEYPOINT_NAMES]
    known += [AP10K_FILE_NAMES] if source == "ap10k" else []

    def plain(names: Iterable[str]) -> list[str]:
        return [re.sub(r"[\W_]+", "_", name).casefold() for name in names]

    def shown(names: Iterable[str]) -> str:
        names = list(names)
        return ", ".join(names[:4]) + (f", … ({len(names)})" if len(names) > 4 else "")

    if plain(found) not in map(plain, known):
        raise ValueError(
            f"expected a checkpoint of the points of {source} ({shown(KEYPOINT_NAMES[source])}), "
            f"but it says that it was trained on {shown(found)}; name that set as the source, one "
            f"of {', '.join(KEYPOINT_NAMES)}"
        )
