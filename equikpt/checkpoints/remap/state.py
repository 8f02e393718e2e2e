"""State dicts in, state dict out: which tensor is copied, remapped, left or refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from typing import Literal

from torch import Tensor

from equikpt.checkpoints.remap.heads import HEAD, HeadFamily, keypoint_dims
from equikpt.checkpoints.remap.points import PointMatch
from equikpt.metainfo.correspondence import KEYPOINT_NAMES

Outcome = Literal["loaded", "remapped", "initialised", "unused"]


@dataclass(frozen=True)
class TensorRow:
    """Fate of one tensor.

    ``initialised`` means that the model keeps the values it starts with; ``unused``, that the
    checkpoint's tensor has no place in the model. ``detail`` names the points or the reason.
    """

    name: str
    outcome: Outcome
    shape: tuple[int, ...]
    detail: str = ""


def check_allow_missing(allow_missing: Iterable[str]) -> tuple[str, ...]:
    """The patterns as a tuple.

    Raises:
        TypeError: One string, whose letters would be taken for patterns.
    """
    if isinstance(allow_missing, str):
        raise TypeError(
            f"expected allow_missing as a list of patterns, got the string {allow_missing!r}; "
            f"write [{allow_missing!r}]"
        )
    return tuple(allow_missing)


def remap_state_dict(
    checkpoint_state: Mapping[str, Tensor],
    model_state: Mapping[str, Tensor],
    family: HeadFamily,
    source: str,
    target: str = "horse26",
    allow_missing: Iterable[str] = (),
) -> tuple[dict[str, Tensor], list[TensorRow]]:
    """Fit a checkpoint's tensors to a model of another keypoint set.

    A checkpoint that has the target's number of keypoints already passes unchanged.

    Args:
        checkpoint_state: Its tensors, under the names that the model uses.
        model_state: The model's; only names and shapes are read.
        family: Where the model's head keeps its keypoints.
        source: The checkpoint's keypoint set, of
            :data:`~equikpt.metainfo.correspondence.KEYPOINT_NAMES`.
        target: The model's.
        allow_missing: Patterns (``*`` is any text) of the model's tensors that may keep the values
            they start with where the checkpoint does not have them, or has them in another shape:
            ``head.cls_*`` for another input size.

    Returns:
        What the model is to load, without the tensors that keep their values, and a row for every
        tensor of the model and for every one of the checkpoint that has no place in it.

    Raises:
        TypeError: ``allow_missing`` is a string.
        ValueError: A tensor does not fit and is not allowed to be missing, a keypoint set is
            unknown or has another number of points, or a pattern matches no tensor.
    """
    match = PointMatch.between(source, target)
    patterns = _patterns_in_use(allow_missing, model_state)
    dims = keypoint_dims(model_state, family)
    is_remapped = _is_of_source_set(checkpoint_state, model_state, dims, match)
    by_order = {HEAD + name for name in family.by_order} if is_remapped else set()
    state: dict[str, Tensor] = {}
    rows: list[TensorRow] = []
    unfit: dict[str, str] = {}
    for name, ours in model_state.items():
        theirs = checkpoint_state.get(name)
        reason = _mismatch(theirs, ours, dims.get(name) if is_remapped else None)
        if name in by_order:
            reason = "it belongs to the order of the points, which is another one"
        if theirs is None or reason:
            free = name in by_order or name.endswith(".num_batches_tracked")  # not always saved
            if not free and not any(fnmatchcase(name, pattern) for pattern in patterns):
                unfit[name] = reason
            rows.append(TensorRow(name, "initialised", tuple(ours.shape), reason))
        elif is_remapped and name in dims:
            state[name] = match.apply(theirs, dims[name])
            rows.append(TensorRow(name, "remapped", tuple(ours.shape), match.describe()))
        else:
            state[name] = theirs
            rows.append(TensorRow(name, "loaded", tuple(ours.shape)))
    _refuse(unfit, len(model_state))
    for name, theirs in checkpoint_state.items():
        if name not in model_state:
            rows.append(
                TensorRow(name, "unused", tuple(theirs.shape), "the model has no such tensor")
            )
    return state, rows


def _is_of_source_set(
    checkpoint_state: Mapping[str, Tensor],
    model_state: Mapping[str, Tensor],
    dims: Mapping[str, int],
    match: PointMatch,
) -> bool:
    """Tell if the checkpoint's keypoints are the source's; if not, they are the target's."""
    for name, dim in dims.items():
        if model_state[name].shape[dim] != match.target_count:
            raise ValueError(
                f"expected a model of the {match.target_count} points of {match.target}, but its "
                f"{name} has {model_state[name].shape[dim]}; set out_channels of its head, or name "
                f"its keypoint set as the target: {_known_sets()}"
            )
    expected = {match.source_count, match.target_count}
    found = set()
    for name, dim in dims.items():
        theirs = checkpoint_state.get(name)
        if theirs is None or theirs.ndim != model_state[name].ndim:
            continue  # said with the other tensors that do not fit
        count = theirs.shape[dim]
        if count not in expected:
            raise ValueError(
                f"expected a checkpoint of the {match.source_count} points of {match.source}, or "
                f"of the {match.target_count} of {match.target}, but its {name} has {count}; name "
                f"the set that it was trained on as the source: {_known_sets()}"
            )
        found.add(count)
    return match.source != match.target and match.source_count in found


def _known_sets() -> str:
    return ", ".join(f"{name} ({len(points)})" for name, points in KEYPOINT_NAMES.items())


def _mismatch(theirs: Tensor | None, ours: Tensor, keypoint_dim: int | None) -> str:
    """Reason why a tensor cannot be taken, empty if it can; lengths along keypoints may differ."""
    if theirs is None:
        return "not in the checkpoint"
    lengths = [list(theirs.shape), list(ours.shape)]
    if keypoint_dim is not None and theirs.ndim == ours.ndim:
        for shape in lengths:
            del shape[keypoint_dim]
    if lengths[0] == lengths[1]:
        return ""
    return f"{tuple(theirs.shape)} in the checkpoint, {tuple(ours.shape)} in the model"


def _patterns_in_use(allow_missing: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
    patterns, names = check_allow_missing(allow_missing), list(names)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(
                "expected allow_missing to name tensors of the model, but none matches "
                f"{pattern!r}; they are named like {names[0]} and {names[-1]}"
            )
    return patterns


def _refuse(unfit: Mapping[str, str], total: int) -> None:
    if not unfit:
        return
    shown = "; ".join(f"{name} ({reason})" for name, reason in islice(unfit.items(), 5))
    more = f" and {len(unfit) - 5} more" if len(unfit) > 5 else ""
    raise ValueError(
        f"expected a checkpoint that fits the model, but {len(unfit)} of its {total} tensors do "
        f"not load: {shown}{more}; take a checkpoint of this very model, or let those tensors keep "
        "the values that they start with by "
        f"allow_missing=[{next(iter(unfit))!r}, …], where * is any text"
    )


def format_rows(rows: Sequence[TensorRow]) -> list[str]:
    """One line a tensor, and a last one that counts them."""
    width = max((len(row.outcome) for row in rows), default=0)
    lines = [
        f"{row.outcome:{width}}  {row.name} {row.shape}" + (row.detail and f": {row.detail}")
        for row in rows
    ]
    outcomes = [row.outcome for row in rows]
    kinds: tuple[Outcome, ...] = ("loaded", "remapped", "initialised", "unused")
    counts = ", ".join(f"{outcomes.count(kind)} {kind}" for kind in kinds)
    return [*lines, f"{len(rows)} tensors: {counts}"]
