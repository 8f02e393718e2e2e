"""A checkpoint of any age and wrapping, fitted to a model of another keypoint set."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import equikpt
from equikpt.checkpoints.remap.heads import head_family
from equikpt.checkpoints.remap.state import TensorRow, remap_state_dict
from equikpt.compat.safe_load import load_from_local
from equikpt.config_checks.load import load_config
from equikpt.core.checkpoint_weights import fit_names, versions_of, weights_of
from equikpt.core.configs import strip_pretrained_init
from equikpt.core.files import refuse_existing, write_bytes
from equikpt.metainfo.correspondence import AP10K_FILE_NAMES, KEYPOINT_NAMES


def remap_checkpoint(
    checkpoint: Mapping[str, Any],
    model: nn.Module,
    source: str,
    target: str = "horse26",
    allow_missing: Iterable[str] = (),
) -> tuple[dict[str, Tensor], list[TensorRow]]:
    """Fit ``checkpoint`` to ``model``: all tensors of the model, and a row for each.

    Which is which is decided by :func:`.state.remap_state_dict`; what keeps the values that it
    starts with has those of ``model``.

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
        in_present_names(weights, versions_of(weights), model),
        model_state,
        family,
        source,
        target,
        allow_missing,
    )
    # the rest as the model has it, so that what is loaded is whole
    result = type(model_state)((name, state.get(name, v)) for name, v in model_state.items())
    # the versions of the classes: without them, MMPose takes the names for old ones
    vars(result)["_metadata"] = vars(model_state)["_metadata"]
    return result, rows


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
    out = Path(out)
    refuse_existing(out, overwrite)
    loaded = load_from_local(str(checkpoint), map_location="cpu")
    state, rows = remap_checkpoint(loaded, _build_model(config), source, target, allow_missing)
    # a fresh meta: MMPose would take the points of the old one for those of the model
    meta = dict(
        remapped_from=Path(checkpoint).name,
        source=source,
        target=target,
        keypoints=list(KEYPOINT_NAMES[target]),
        equikpt_version=equikpt.__version__,
    )
    content = io.BytesIO()
    torch.save(dict(state_dict=state, meta=meta), content)
    write_bytes(out, content.getvalue())
    return rows


def in_present_names(
    weights: Mapping[str, Tensor], versions: Mapping[str, dict], model: nn.Module
) -> dict[str, Tensor]:
    """Rename what older releases named otherwise, by the model's own conversion.

    MMPose 1.x converts weights of 0.x while a model loads them (``_load_state_dict_pre_hook`` of
    the estimator and of the head); this runs the same code on the weights alone.

    Raises:
        ValueError: MMPose cannot convert them, since the head has other layers.
    """
    # MMPose drops these without a word; here they get their row
    settings = {name: v for name, v in weights.items() if name.startswith("data_preprocessor.")}
    state = {name: value for name, value in weights.items() if name not in settings}
    for prefix, module in _with_prefixes(model):
        for hook in module._load_state_dict_pre_hooks.values():
            part = {name: state.pop(name) for name in list(state) if name.startswith(prefix)}
            version = versions.get(prefix[:-1], {})
            try:
                hook(part, prefix, version, True, [], [], [])
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
    meta = checkpoint.get("meta")
    dataset = meta.get("dataset_meta") if isinstance(meta, Mapping) else None
    names_by_id = dataset.get("keypoint_id2name") if isinstance(dataset, Mapping) else None
    if not isinstance(names_by_id, Mapping) or source not in KEYPOINT_NAMES:
        return
    found = [str(names_by_id[number]) for number in sorted(names_by_id)]
    known = [KEYPOINT_NAMES[name] for name in (source, target) if name in KEYPOINT_NAMES]
    if source == "ap10k":
        known.append(AP10K_FILE_NAMES)
    if _plain(found) not in [_plain(names) for names in known]:
        raise ValueError(
            f"expected a checkpoint of the points of {source} ({_shown(KEYPOINT_NAMES[source])}), "
            f"but it says that it was trained on {_shown(found)}; name that set as the source, one "
            f"of {', '.join(KEYPOINT_NAMES)}"
        )


def _plain(names: Iterable[str]) -> list[str]:
    return [re.sub(r"[\W_]+", "_", name).casefold() for name in names]


def _shown(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:4]) + (f", … ({len(names)})" if len(names) > 4 else "")


def _with_prefixes(model: nn.Module) -> list[tuple[str, nn.Module]]:
    return [(f"{name}." if name else "", module) for name, module in model.named_modules()]


def _build_model(config: str) -> nn.Module:
    from mmengine.logging import MMLogger
    from mmengine.registry import init_default_scope
    from mmpose.registry import MODELS

    cfg = load_config(config)
    init_default_scope(cfg.get("default_scope", "mmpose"))
    strip_pretrained_init(cfg.model)
    model = MODELS.build(cfg.model)
    MMLogger.get_current_instance().setLevel("WARNING")  # it would say how each tensor starts
    model.init_weights()
    return model
