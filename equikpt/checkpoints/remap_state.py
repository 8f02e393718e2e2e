"""State dicts in, state dict out: each tensor is loaded, remapped, left as it was, or refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import islice
from typing import Literal, NamedTuple

from torch import Tensor

from equikpt.metainfo.correspondence import KEYPOINT_NAMES, index_pairs

HEAD = "head."
"""Prefix of the head's tensors in MMPose's estimators."""
BRANCH = f"{HEAD}visibility."
"""Prefix of a branch that starts anew for other keypoints, and that other checkpoints lack."""
Outcome = Literal["loaded", "remapped", "initialised", "unused"]
OUTCOMES: tuple[Outcome, ...] = ("loaded", "remapped", "initialised", "unused")


class HeadFamily(NamedTuple):
    """Heads that keep their keypoints in the same tensors.

    ``outputs`` maps names of layers to the dimension of a convolution's weight that counts the
    keypoints; of its bias, and of a BN layer behind it, that is dimension 0. The first that the
    head has is its output layer, and in a sequence of layers the last convolution is. ``by_order``
    are tensors that belong to positions in the list of keypoints rather than to keypoints; in
    another list they mean nothing.
    """

    outputs: Mapping[str, int]
    by_order: tuple[str, ...] = ()


HEADS: dict[str, HeadFamily] = {
    # `final_layer=None` makes the last one of the layers before it the output layer.
    # A transposed convolution's weight is (C, K, k, k).
    "HeatmapHead": HeadFamily({"final_layer": 0, "conv_layers": 0, "deconv_layers": 1}),
    # Behind the output layer, all points share their weights. `gau.w` (2 K - 1) is an attention
    # bias for every distance between two positions in the list (`use_rel_bias`).
    "RTMCCHead": HeadFamily({"final_layer": 0}, by_order=("gau.w",)),
}
"""Class of a head, or one that it derives from, to its family."""


def head_family(head: object) -> HeadFamily:
    """Return the family of a model's head; a ``TypeError`` where :data:`HEADS` has none."""
    for base in type(head).__mro__:
        if base.__name__ in HEADS:
            return HEADS[base.__name__]
    raise TypeError(
        f"expected a head of class {' or '.join(HEADS)}, or one derived from it, got "
        f"{type(head).__name__}: where it keeps its keypoints is not known, so its weights cannot "
        "be remapped; give such a model a checkpoint of its own keypoint set"
    )


def keypoint_dims(model_state: Mapping[str, Tensor], family: HeadFamily) -> dict[str, int]:
    """Map each tensor of the head's output layer to the dimension that counts the keypoints.

    Raises:
        ValueError: The head has none of the family's output layers.
    """
    for output, weight_dim in family.outputs.items():
        layer = re.compile(re.escape(f"{HEAD}{output}.") + r"(?:(\d+)\.)?")
        found = {name: match for name in model_state if (match := layer.match(name))}
        index = {name: int(match[1] or 0) for name, match in found.items()}
        convolutions = [index[name] for name in index if model_state[name].ndim == 4]
        if convolutions:
            return {
                name: weight_dim if model_state[name].ndim == 4 else 0
                for name in index
                # a BN layer's counter has no dimension
                if index[name] >= max(convolutions) and model_state[name].ndim
            }
    names = " or ".join(HEAD + output for output in family.outputs)
    raise ValueError(
        f"expected a model with {names}, found none of them among its {len(model_state)} tensors; "
        "give its head an output layer"
    )


class PointMatch:
    """Channels of one keypoint set as channels of another, or of the same.

    Args:
        source: Keypoint set, of :data:`~equikpt.metainfo.correspondence.KEYPOINT_NAMES`.
        target: Another one, or the same.

    Raises:
        ValueError: A set is unknown.
    """

    def __init__(self, source: str, target: str) -> None:
        if source == target and source in KEYPOINT_NAMES:
            self.pairs = [(k, k) for k in range(len(KEYPOINT_NAMES[source]))]
        else:
            a, b = index_pairs(source, target)
            self.pairs = list(zip(a.tolist(), b.tolist(), strict=True))
        self.source, self.target = source, target
        self.theirs, self.ours = KEYPOINT_NAMES[source], KEYPOINT_NAMES[target]

    def apply(self, tensor: Tensor, dim: int) -> Tensor:
        """Copy channels along ``dim``; points that ``source`` lacks get the mean of the copied."""
        a, b = map(list, zip(*self.pairs, strict=True))
        copied = tensor.movedim(dim, 0)[a]
        mean = copied.double().mean(0, keepdim=True).to(tensor.dtype)
        result = mean.repeat(len(self.ours), *(1 for _ in copied.shape[1:]))
        result[b] = copied
        return result.movedim(0, dim).contiguous()

    def describe(self) -> str:
        """Name the pairs: ``nose = Nose, l_eye = L_Eye; mean of these: l_ear``."""
        copied = ", ".join(f"{self.ours[b]} = {self.theirs[a]}" for a, b in self.pairs)
        matched = {b for _, b in self.pairs}
        others = [name for k, name in enumerate(self.ours) if k not in matched]
        return f"{copied}; mean of these: {', '.join(others)}" if others else copied


class TensorRow(NamedTuple):
    """Fate of one tensor.

    ``initialised`` means that the model keeps the values it starts with; ``unused``, that the
    checkpoint's tensor has no counterpart in the model. ``detail`` names the points or the reason.
    """

    name: str
    outcome: Outcome
    shape: tuple[int, ...]
    detail: str = ""


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
        family: Of the model's head.
        source: The checkpoint's keypoint set, of
            :data:`~equikpt.metainfo.correspondence.KEYPOINT_NAMES`.
        target: The model's.
        allow_missing: Patterns (``*`` is any text) of the model's tensors that may keep the values
            they start with where the checkpoint does not have them, or has them in another shape:
            ``head.cls_*`` for another input size.

    Returns:
        The state to load, without the tensors that keep their values, and a row for every tensor
        of the model and for every one of the checkpoint that has no counterpart in it.

    Raises:
        TypeError: ``allow_missing`` is a string.
        ValueError: A tensor does not fit and is not allowed to be missing, a keypoint set is
            unknown or has another number of points, or a pattern matches no tensor.
    """
    match = PointMatch(source, target)
    patterns = check_patterns(allow_missing, model_state)
    dims = keypoint_dims(model_state, family)
    is_remapped = _is_of_source_set(checkpoint_state, model_state, dims, match)
    by_order = {HEAD + name for name in family.by_order} if is_remapped else set()
    state: dict[str, Tensor] = {}
    rows: list[TensorRow] = []
    unfit: dict[str, str] = {}
    for name, ours in model_state.items():
        theirs = checkpoint_state.get(name)
        reason = _mismatch(theirs, ours, dims.get(name) if is_remapped else None)
        outcome: Outcome = "loaded"
        is_own = name in by_order or (is_remapped and name.startswith(BRANCH))
        if is_own:
            reason = "it belongs to the order of the points, which is another one"
        if theirs is None or reason:
            outcome = "initialised"
            # counters are not always saved
            free = is_own or name.startswith(BRANCH) or name.endswith(".num_batches_tracked")
            if not free and not any(fnmatchcase(name, pattern) for pattern in patterns):
                unfit[name] = reason
        elif is_remapped and name in dims:
            outcome, reason = "remapped", match.describe()
            state[name] = match.apply(theirs, dims[name])
        else:
            state[name] = theirs
        rows.append(TensorRow(name, outcome, tuple(ours.shape), reason))
    if unfit:
        shown = "; ".join(f"{name} ({reason})" for name, reason in islice(unfit.items(), 5))
        more = f" and {len(unfit) - 5} more" if len(unfit) > 5 else ""
        raise ValueError(
            f"expected a checkpoint that fits the model, but {len(unfit)} of its "
            f"{len(model_state)} tensors do not load: {shown}{more}; take a checkpoint of this very"
            " model, or let those tensors keep the values that they start with by "
            f"allow_missing=[{next(iter(unfit))!r}, …], where * is any text"
        )
    unused = [(name, each) for name, each in checkpoint_state.items() if name not in model_state]
    reason = "the model has no such tensor"
    rows += [TensorRow(name, "unused", tuple(each.shape), reason) for name, each in unused]
    return state, rows


def check_patterns(allow_missing: Iterable[str], names: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the patterns as a tuple; where names are given, each must match one.

    Raises:
        TypeError: One string, whose letters would be taken for patterns.
        ValueError: A pattern matches no name.
    """
    if isinstance(allow_missing, str):
        raise TypeError(
            f"expected allow_missing as a list of patterns, got the string {allow_missing!r}; "
            f"write [{allow_missing!r}]"
        )
    patterns, names = tuple(allow_missing), list(names)
    for pattern in patterns if names else ():
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(
                "expected allow_missing to name tensors of the model, but none matches "
                f"{pattern!r}; they are named like {names[0]} and {names[-1]}"
            )
    return patterns


def _is_of_source_set(
    checkpoint_state: Mapping[str, Tensor],
    model_state: Mapping[str, Tensor],
    dims: Mapping[str, int],
    match: PointMatch,
) -> bool:
    """Tell if the checkpoint's keypoints are the source's; if not, they are the target's."""
    ours, theirs = len(match.ours), len(match.theirs)
    known = ", ".join(f"{name} ({len(points)})" for name, points in KEYPOINT_NAMES.items())
    found = set()
    for name, dim in dims.items():
        count = model_state[name].shape[dim]
        if count != ours:
            raise ValueError(
                f"expected a model of the {ours} points of {match.target}, but its {name} has "
                f"{count}; set out_channels of its head, or name its keypoint set as the target: "
                f"{known}"
            )
    for name, dim in dims.items():
        tensor = checkpoint_state.get(name)
        if tensor is None or tensor.ndim != model_state[name].ndim:
            continue  # named with the other tensors that do not fit
        count = tensor.shape[dim]
        if count not in (ours, theirs):
            raise ValueError(
                f"expected a checkpoint of the {theirs} points of {match.source}, or of the {ours} "
                f"of {match.target}, but its {name} has {count}; name the set that it was trained "
                f"on as the source: {known}"
            )
        found.add(count)
    return match.source != match.target and theirs in found


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


def format_rows(rows: Sequence[TensorRow]) -> list[str]:
    """One line a tensor, and a last one that counts them."""
    width = max((len(row.outcome) for row in rows), default=0)
    lines = [
        f"{row.outcome:{width}}  {row.name} {row.shape}" + (row.detail and f": {row.detail}")
        for row in rows
    ]
    outcomes = [row.outcome for row in rows]
    counts = ", ".join(f"{outcomes.count(kind)} {kind}" for kind in OUTCOMES)
    return [*lines, f"{len(rows)} tensors: {counts}"]
