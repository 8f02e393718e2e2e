"""Read from a class or a function which arguments it takes."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, get_type_hints


class Argument(NamedTuple):
    """An argument: its annotation or None, its default or ``inspect.Parameter.empty``."""

    hint: Any
    default: Any

    @property
    def required(self) -> bool:
        """True where there is no default."""
        return self.default is inspect.Parameter.empty


class Arguments(NamedTuple):
    """Arguments by name, and whether any other name is taken as well."""

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
        for parameter in parameters:
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                hint = _hints(function).get(parameter.name)
                found.setdefault(parameter.name, Argument(hint, parameter.default))
        found.pop("self", None)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return Arguments(found, False)
        if not _hands_on(function):
            break
    return Arguments(found, True)


@cache
def _hints(function: Callable) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except (NameError, TypeError, AttributeError):  # names that only a type checker imports
        return {}


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
