"""Arguments that a class or a function takes, and values of a config that they accept."""

from __future__ import annotations

import ast
import inspect
import math
import textwrap
from collections.abc import Callable, Mapping
from functools import cache
from types import UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

MINIMA: dict[str, float] = {
    **dict.fromkeys(("batch_size", "prefetch_factor", "base_batch_size", "max_epochs"), 1),
    **dict.fromkeys(("max_iters", "val_interval", "patience", "window_size"), 1),
    **dict.fromkeys(("num_workers", "val_begin", "seed"), 0),
    **dict.fromkeys(("lr", "weight_decay", "max_norm"), 0.0),
    "accumulative_counts": 1,
}
"""Least value of a number under a key, whatever takes it; no signature has it. Where it is written
as a whole number, the value must be one."""

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


class Argument(NamedTuple):
    """An argument: its annotation or None, its default or ``inspect.Parameter.empty``."""

    hint: Any
    default: Any


class Arguments(NamedTuple):
    """Arguments by name; ``others`` is True where any other name is taken as well."""

    named: dict[str, Argument]
    others: bool


@cache
def arguments_of(target: Callable) -> Arguments:
    """Read the arguments of a class or a function.

    A constructor with ``**kwargs`` takes those of its base class as well, if it hands them on.
    """
    found: dict[str, Argument] = {}
    for step in target.__mro__ if inspect.isclass(target) else (target,):
        function = vars(step).get("__init__") if inspect.isclass(target) else step
        if function is None:
            continue
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):  # written in C
            return Arguments(found, True)
        try:
            hints = get_type_hints(function)
        except (NameError, TypeError, AttributeError):  # names that only a type checker imports
            hints = {}
        for each in parameters:
            if each.name != "self" and each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY):
                found.setdefault(each.name, Argument(hints.get(each.name), each.default))
        if not any(each.kind is each.VAR_KEYWORD for each in parameters):
            return Arguments(found, False)
        if not _hands_on(function):
            break
    return Arguments(found, True)


def _hands_on(function: Callable) -> bool:
    """Tell whether a constructor gives its ``**kwargs`` to the one of its base class."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError):
        return False
    return any(
        isinstance(node, ast.Call)
        and getattr(node.func, "attr", "") == "__init__"
        and any(keyword.arg is None for keyword in node.keywords)
        for node in ast.walk(tree)
    )


def check_value(path: str, value: Any, argument: Argument | None = None) -> None:
    """Check the kind of one value against an annotation, and its range.

    Annotations count for scalars alone: those of lists and dicts are too often narrower than what
    the code takes.

    Args:
        path: Its dotted path, whose last part is the key.
        value: As the config has it.
        argument: Taker of the value, where that is known.
    """
    key, kind = path.rsplit(".", 1)[-1], kind_of(value)
    wanted = _wanted(argument) if argument else None
    if key in MINIMA:
        wanted = {"number", "none"}
    if wanted and kind not in wanted and (wanted <= SCALARS or kind in SCALARS - {"none"}):
        raise ValueError(f"expected {path} as {_named(wanted)}, got {shown(value)}")
    low, high = MINIMA.get(key), MAXIMA.get(key, math.inf)
    if low is None or kind != "number":
        return
    if isinstance(low, int) and not isinstance(value, int):
        raise ValueError(f"expected {path} as a whole number, got {value}")
    if not (low <= value <= high and math.isfinite(value)):
        bounds = f"of at least {low}" if high == math.inf else f"from {low} to {high}"
        raise ValueError(f"expected {path} {bounds}, got {value}")


def kind_of(value: Any) -> str:
    """Return one of :data:`KINDS`, or ``"other"``."""
    return next((kind for kind, (types, _) in KINDS.items() if isinstance(value, types)), "other")


def shown(value: Any) -> str:
    """Return a value for a message, cut off where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _wanted(argument: Argument) -> set[str] | None:
    """Kinds that an argument takes; None if they are not known."""
    kinds, default = _kinds(argument.hint), kind_of(argument.default)
    if kinds is not None:
        return kinds | {default}
    if argument.hint is None and default in ("number", "flag"):  # no annotation: anything but text
        return {*KINDS, "other"} - {"text"}
    return None


def _kinds(hint: Any) -> set[str] | None:
    """Kinds of values that an annotation stands for; None if they are not known."""
    if get_origin(hint) in (Union, UnionType):
        parts = [_kinds(part) for part in get_args(hint)]
        return None if None in parts else {kind for part in parts if part for kind in part}
    plain = get_origin(hint) or hint
    if not isinstance(plain, type) or plain in (object, Callable):
        return None
    if plain in (bool, int, float):
        return {"flag", "number"} if plain is bool else {"number"}
    for kind in ("text", "list", "dict", "none"):
        if issubclass(plain, KINDS[kind][0]):
            return {kind}
    return {"list"} if plain.__module__ == "collections.abc" else {"other"}


def _named(kinds: set[str]) -> str:
    if kinds >= {"flag", "number"} and "list" not in kinds:
        kinds = kinds - {"number"}
    names = [name for kind, (_, name) in KINDS.items() if kind in kinds and kind != "none"]
    return " or ".join(names) or "None"
