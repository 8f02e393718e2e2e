"""Find the weights in a checkpoint of any wrapping, under the names of a model, and say what fits.

MMEngine looks for ``state_dict`` and takes ``module.`` off. What else wraps a model while it is
trained leaves its mark in the names as well: torch.compile, FSDP, a LightningModule.
"""

from __future__ import annotations

import contextlib
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

STATE_KEYS = ("state_dict", "ema_state_dict", "model_state_dict", "model")
"""Keys that hold the weights, the better ones first.

Beside an ``ema_state_dict``, MMEngine's ``state_dict`` is the average and the other the last step.
"""

WRAPPERS = frozenset(("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"))
"""Parts of a name that a wrapper adds: DataParallel and DDP, torch.compile, FSDP, checkpointing."""

SHOWN = 3
"""Tensors that a message names of each kind."""

Shape = tuple[int, ...]

source: ContextVar[str] = ContextVar("source", default="the checkpoint")
"""The file that messages speak of; most of MMEngine's functions pass on its content alone."""


@contextlib.contextmanager
def loading(path: str) -> Iterator[None]:
    """Name the file that is being loaded in messages."""
    token = source.set(str(path))
    try:
        yield
    finally:
        source.reset(token)


def weights_of(checkpoint: Mapping[str, Any]) -> OrderedDict[str, Any]:
    """Find the state dict of a checkpoint: bare, under one of :data:`STATE_KEYS`, or the only one.

    The versions of the saved classes stay with it.

    Raises:
        ValueError: There is no tensor in it.
    """
    inner = {key: value for key, value in checkpoint.items() if _has_tensors(value)}
    known = [key for key in STATE_KEYS if key in inner]
    state = checkpoint
    if known or (len(inner) == 1 and not _has_tensors(checkpoint)):
        state = inner[known[0]] if known else next(iter(inner.values()))
    weights: OrderedDict[str, Any] = OrderedDict(
        (name, value)
        for name, value in state.items()
        if isinstance(value, Tensor) or str(name).endswith("_extra_state")
    )
    if not weights:
        raise ValueError(
            f"expected one set of weights in {source.get()}, bare or as {', '.join(STATE_KEYS)}, "
            f"found {', '.join(map(str, checkpoint)) or 'nothing'}: save model.state_dict() alone, "
            "or choose another file"
        )
    _set_versions(weights, versions_of(state))
    return weights


def _has_tensors(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(v, Tensor) for v in value.values())


def fit_names(
    weights: Mapping[str, Any], names: Iterable[str], prefixed: bool = True
) -> OrderedDict[str, Any]:
    """Rename tensors of :func:`weights_of` as the model names them.

    :data:`WRAPPERS` go wherever they stand. A prefix, such as the ``model.`` of a LightningModule,
    goes where ``prefixed`` and most of the model's tensors are there without it; tensors that do
    not have it, such as the module's losses, are left out. Other names stay as they are.

    Raises:
        ValueError: There are several sets of weights in it, or one tensor twice.
    """
    wanted = {_unwrapped(name): name for name in names}
    plain = {name: _unwrapped(name) for name in weights}
    prefix = _prefix(plain.values(), wanted) if prefixed else ""
    fitted: OrderedDict[str, Any] = OrderedDict()
    for name, value in weights.items():
        if not plain[name].startswith(prefix):
            continue
        rest = plain[name].removeprefix(prefix)
        new = wanted.get(rest, rest)
        if new in fitted:
            raise ValueError(
                f"expected each tensor once in {source.get()}, but {new} is there twice, once as "
                f"{name}; save the one set of weights that is to be loaded alone"
            )
        fitted[new] = value
    versions = {}
    for name, version in versions_of(weights).items():
        module = _unwrapped(name) and f"{_unwrapped(name)}."
        if module.startswith(prefix):
            versions[module.removeprefix(prefix).removesuffix(".")] = version
    _set_versions(fitted, versions)
    return fitted


def _prefix(names: Iterable[str], wanted: Collection[str]) -> str:
    """Find what stands before the model's own names, with its dot; mostly nothing."""
    hits: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        for length in range(len(parts)):
            if ".".join(parts[length:]) in wanted:
                hits["".join(f"{part}." for part in parts[:length])] += 1
    most = max(hits.values(), default=0)
    best = sorted(prefix for prefix, count in hits.items() if count == most)
    if not most or 2 * most < len(wanted) or "" in best:
        return ""
    if len(best) > 1:
        raise ValueError(
            f"expected one set of weights in {source.get()}, found {len(best)}, named "
            f"{', '.join(f'{prefix}…' for prefix in best)}; save the one that is to be loaded alone"
        )
    return best[0]


def _unwrapped(name: str) -> str:
    return ".".join(part for part in str(name).split(".") if part not in WRAPPERS)


def versions_of(state: Mapping[str, Any]) -> Mapping[str, dict]:
    """Return versions of the classes that saved a state dict, by module, as torch keeps them."""
    return getattr(state, "_metadata", {})


def _set_versions(state: OrderedDict[str, Any], versions: Mapping[str, Any]) -> None:
    vars(state)["_metadata"] = OrderedDict(versions)


@dataclass(frozen=True)
class Misfit:
    """Tensors of a model that a checkpoint does not give, and those that it gives beside them.

    Args:
        total: Tensors of the model.
        missing: Not in the checkpoint.
        unexpected: Not in the model.
        misshapen: Name to the shapes in the checkpoint and in the model.
    """

    total: int
    missing: Sequence[str]
    unexpected: Sequence[str]
    misshapen: Mapping[str, tuple[Shape, Shape]]

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.misshapen)

    def describe(self) -> str:
        """Counts and first names of each kind."""
        shapes = [f"{name} {theirs} for {ours}" for name, (theirs, ours) in self.misshapen.items()]
        kinds = dict(missing=self.missing, misshapen=shapes, unexpected=self.unexpected)
        parts = []
        for kind, names in kinds.items():
            more = ", …" if len(names) > SHOWN else ""
            if names:
                parts.append(f"{len(names)} {kind} ({', '.join(names[:SHOWN])}{more})")
        return ", ".join(parts)


def sentence(misfit: Misfit, model: nn.Module) -> str:
    """Say in one sentence what does not fit, the likely reason and what to do."""
    return (
        f"expected in {source.get()} all {misfit.total} tensors of the model "
        f"({type(model).__name__}) and no others, found {misfit.describe()}: "
        f"{_likely_reason(misfit, model)}"
    )


def _likely_reason(misfit: Misfit, model: nn.Module) -> str:
    init = "model.backbone.init_cfg=dict(type='Pretrained', checkpoint=…"
    of_backbone = {*getattr(model, "backbone", nn.Identity()).state_dict()}
    if sum(name in of_backbone for name in misfit.unexpected) * 2 > max(len(of_backbone), 1):
        return f"it is a backbone alone, from which a training starts by {init})"
    lacks = {name.split(".")[0] for name in misfit.missing}
    if lacks == {"head"} and not misfit.misshapen and not misfit.unexpected:
        return (
            "it has no whole head, so it cannot be tested; a training starts from its backbone by "
            f"{init}, prefix='backbone.')"
        )
    if not lacks and all(name.startswith("head.cls_") for name in misfit.misshapen):
        return "its head is for another input size, so give the config that it was trained with"
    pairs = {(theirs[:1], ours[:1]) for theirs, ours in misfit.misshapen.values()}
    is_wider = all(
        name.startswith("head.") and theirs and ours and theirs[1:] == ours[1:]
        for name, (theirs, ours) in misfit.misshapen.items()
    )
    if is_wider and len(pairs) == 1 and not misfit.missing and not misfit.unexpected:
        ((theirs, ours),) = pairs
        return (
            f"its head has {theirs[0]} channels for {ours[0]} keypoints, so give the config of its "
            "own keypoints; a training maps them by RemapCheckpointHook or "
            "tools/remap_checkpoint.py, or starts from the backbone by "
            f"{init}, prefix='backbone.')"
        )
    reason = "it is of another network, so " if len(misfit.missing) == misfit.total else ""
    return f"{reason}give the config that it was trained with"
