"""Read the config that a run saved as data: nothing in the file is run.

A config is a Python program, and a work dir may be somebody else's. What MMEngine saves of a config
is assignments of plain values, so they can be read without running them.
"""

from __future__ import annotations

import ast
import importlib.util
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mmengine.registry
from mmengine.config import Config
from mmengine.config.config import RESERVED_KEYS
from mmengine.registry import Registry

from equikpt.core.project import WORK_DIR

NAMED_VALUES = {"inf": math.inf, "nan": math.nan}
"""As MMEngine writes these numbers."""
OWN_PACKAGES = ("equikpt", "mmpose")
"""Packages whose modules a config may import without being a program."""
SECTIONS = (
    *("model", "train_dataloader", "val_dataloader", "test_dataloader", "train_cfg", "val_cfg"),
    *("test_cfg", "optim_wrapper", "default_hooks", "env_cfg", "log_processor", "randomness"),
)
"""Keys whose value is a dict or None in every config that MMEngine runs."""
CODE_SUFFIXES = (".py", ".pkl", ".pickle", ".npy", ".npz")
"""Suffixes of files that MMPose runs or unpickles where a config names them."""


def read_saved_config(path: Path) -> tuple[Config, tuple[str, ...]]:
    """Read a config that MMEngine saved.

    Returns:
        The config, and the top-level keys that were left out, since their values are no plain ones,
        or none that MMEngine takes.
        What is no assignment at all is left out as ``line 3``.

    Raises:
        FileNotFoundError: No such file.
        ValueError: It is not Python, or only half of a file.
    """
    try:
        body = ast.parse(path.read_bytes(), filename=str(path)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"expected a config in {path}, it cannot be parsed ({error})") from error
    values: dict[str, Any] = {}
    left_out: dict[str, None] = {}
    for statement in body:
        match statement:
            case ast.Expr(value=ast.Constant()):  # a docstring
                continue
            case ast.Assign(targets=[ast.Name(id=name)], value=node):
                pass
            case _:
                left_out[f"line {statement.lineno}"] = None
                continue
        try:
            if name in (*RESERVED_KEYS, "_base_"):
                raise ValueError(f"{name} is no setting")
            value = ast.literal_eval(_Literals().visit(node))
            if name in SECTIONS and not isinstance(value, (dict, type(None))):
                raise ValueError(f"expected a dict for {name}")
            values[name] = value
            left_out.pop(name, None)
        except (ValueError, TypeError, RecursionError):  # TypeError: a list as a key
            values.pop(name, None)
            left_out[name] = None
    return Config(values, filename=str(path)), tuple(left_out)


def in_its_project(config: Config, work_dir: Path) -> Config:
    """Lead the paths of a project that was moved since to where its work dir is now."""
    saved, new = Path(str(config.get("work_dir") or "")), work_dir.resolve()
    is_moved = saved.is_absolute() and saved != new and not saved.exists()
    if not is_moved or not saved.name == new.name == WORK_DIR:
        return config
    moved = _under(config.to_dict(), str(saved.parent), str(new.parent))
    return Config(moved, filename=config.filename)


def _under(value: Any, old: str, new: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _under(part, old, new) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_under(part, old, new) for part in value)
    is_within = isinstance(value, str) and f"{value}/".startswith(f"{old}/")
    return new + value[len(old) :] if is_within else value


class _Literals(ast.NodeTransformer):
    """Write what MMEngine dumps as literals: ``dict(a=1)``, ``dict({'a b': 1})``, ``inf``."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        match node:
            case ast.Call(func=ast.Name(id="dict"), args=[ast.Dict() as inner], keywords=[]):
                return inner
            case ast.Call(func=ast.Name(id="dict"), args=[], keywords=pairs):
                # `dict(**others)` has no name for a key: None, which is no literal
                return ast.Dict(
                    keys=[ast.Constant(pair.arg) if pair.arg else None for pair in pairs],
                    values=[pair.value for pair in pairs],
                )
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(NAMED_VALUES[node.id]) if node.id in NAMED_VALUES else node


def code_in(config: Config) -> list[str]:
    """The settings of a config that would run code which is neither MMPose's nor the package's.

    A config that was read as data still names what is built of it: a type may be any function on
    this machine (MMEngine imports ``os.system``), and some values are files that are run or
    unpickled. Types that are registered when this is called are taken as MMPose's own.

    Returns:
        ``key: value`` each.
    """
    scopes = {registry.scope for registry in _registries()}
    known = {f"{each.scope}.{name}" for each in _registries() for name in each.module_dict}
    found = []
    for path, value in _settings((), config.to_dict()):
        key = str(path[-1])
        if not isinstance(value, str):
            continue
        if key == "type" or key.endswith("_type") or key == "constructor":
            is_code = value not in known  # without a dot: registered, or a module to import
            if "." not in value:
                is_code = value.isidentifier() and importlib.util.find_spec(value) is not None
        elif key in ("_scope_", "default_scope"):
            is_code = value not in scopes
        elif path[0] == "custom_imports":
            is_code = value.split(".")[0] not in OWN_PACKAGES
        elif key == "from_file":
            is_code = not _is_data(Path(value))
        else:
            is_code = value.lower().endswith(CODE_SUFFIXES)
        if is_code:
            found.append(f"{'.'.join(map(str, path))}: {value!r}")
    return found


def _is_data(metainfo: Path) -> bool:
    """Tell a file of plain values from a program, and from one that MMPose looks for elsewhere."""
    try:
        return not read_saved_config(metainfo)[1]
    except (OSError, ValueError):
        return False


def _settings(path: tuple, value: Any) -> Iterator[tuple[tuple, Any]]:
    """Each plain value with the keys and indices that lead to it."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _settings((*path, key), part)
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):  # a plain element is a value of the list's own key
            nested = isinstance(part, (Mapping, list, tuple))
            yield from _settings((*path, index) if nested else path, part)
    else:
        yield path, value


def _registries() -> Iterator[Registry]:
    """Every registry of MMEngine with its children."""
    left = [each for each in vars(mmengine.registry).values() if isinstance(each, Registry)]
    while left:
        registry = left.pop()
        yield registry
        left += registry.children.values()
