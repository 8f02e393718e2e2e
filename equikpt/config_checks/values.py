"""Check a value of a config: its kind against an annotation, and its range."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

from equikpt.config_checks.signatures import Argument

MINIMA: dict[str, float] = dict(
    batch_size=1,
    num_workers=0,
    prefetch_factor=1,
    base_batch_size=1,
    max_epochs=1,
    max_iters=1,
    val_interval=1,
    val_begin=0,
    seed=0,
    patience=1,
    window_size=1,
    accumulative_counts=1,
    lr=0.0,
    weight_decay=0.0,
    max_norm=0.0,
)
"""Least value of a number under a key, whatever takes it; no signature tells it. Where it is
written as a whole number, the value must be one."""

MAXIMA: dict[str, float] = dict(seed=2**32 - 1)

KINDS: dict[str, tuple[type | tuple[type, ...], str]] = dict(
    text=(str, "text"),
    flag=(bool, "True or False"),  # before number: a bool is an int
    number=((int, float), "a number"),
    list=((list, tuple, set, frozenset, range), "a list"),
    dict=(Mapping, "a dict"),
    none=(type(None), "None"),
)
"""Kinds of values, each with its types and its name in a message."""

SCALARS = {"text", "flag", "number", "none"}


def check_value(path: str, value: Any, argument: Argument | None = None) -> None:
    """Check one value.

    Annotations are taken at their word for scalars alone: those of lists and dicts are too often
    narrower than what the code takes.

    Args:
        path: Its dotted path, whose last part is the key.
        value: As the config has it.
        argument: What takes it, where that is known.

    Raises:
        ValueError: The value has another kind, or lies outside the range of its key.
    """
    key = path.rsplit(".", 1)[-1]
    wanted, kind = _wanted(argument) if argument else None, kind_of(value)
    if key in MINIMA:
        wanted = {"number", "none"}
    if wanted and kind not in wanted and (wanted <= SCALARS or kind in SCALARS - {"none"}):
        raise ValueError(f"expected {path} as {_named(wanted)}, got {shown(value)}")
    least, most = MINIMA.get(key), MAXIMA.get(key, math.inf)
    if least is None or kind != "number":
        return
    if isinstance(least, int) and not isinstance(value, int):
        raise ValueError(f"expected {path} as a whole number, got {value}")
    if not (least <= value <= most and math.isfinite(value)):
        bounds = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
        raise ValueError(f"expected {path} {bounds}, got {value}")


def kind_of(value: Any) -> str:
    """One of :data:`KINDS`, or ``"other"``."""
    return next((kind for kind, (types, _) in KINDS.items() if isinstance(value, types)), "other")


def shown(value: Any) -> str:
    """A value in a message, cut off where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _wanted(argument: Argument) -> set[str] | None:
    """Kinds that an argument takes; None if they cannot be told."""
    kinds, default = _kinds(argument.hint), kind_of(argument.default)
    if kinds is not None:
        return kinds | {default}
    if argument.hint is None and default in ("number", "flag"):  # no annotation: anything but text
        return {*KINDS, "other"} - {"text"}
    return None


def _kinds(hint: Any) -> set[str] | None:
    """Kinds of values that an annotation stands for; None for what cannot be told."""
    if get_origin(hint) in (Union, UnionType):
        parts = [_kinds(part) for part in get_args(hint)]
        return None if None in parts else {kind for part in parts if part for kind in part}
    plain = get_origin(hint) or hint
    if not isinstance(plain, type) or plain in (object, Callable):
        return None
    if plain is bool:
        return {"flag", "number"}
    if plain in (int, float):
        return {"number"}
    for kind in ("text", "list", "dict", "none"):
        if issubclass(plain, KINDS[kind][0]):
            return {kind}
    return {"list"} if plain.__module__ == "collections.abc" else {"other"}


def _named(kinds: set[str]) -> str:
    if kinds >= {"flag", "number"} and "list" not in kinds:
        kinds = kinds - {"number"}
    names = [name for kind, (_, name) in KINDS.items() if kind in kinds and kind != "none"]
    return " or ".join(names) or "None"
