"""Read a config, merge ``--cfg-options`` into it, and refuse those that would change nothing.

A config file is a program: ``codec`` or ``data_root`` exist while it runs and are copied to where
they are needed. An option is merged afterwards, when nobody looks at them any more.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

from equikpt.config_checks.keys import check_config
from equikpt.config_checks.schedule import scale_schedule
from equikpt.config_checks.values import kind_of, shown
from equikpt.core.configs import import_modules, nearest, read_config

STOCK_HOOKS = ["runtime_info", "timer", "sampler_seed", "logger", "param_scheduler", "checkpoint"]
"""Hooks that the runner adds by itself, and leaves out where a config says None."""


def load_config(
    name: str | Path, options: Mapping[str, Any] | None = None, epochs: int | None = None
) -> Config:
    """Read a config by path or by name, merge ``--cfg-options`` into it, and check it.

    The file is a program, and it is run.

    Args:
        name: Path of a file, or name of a config that equikpt ships.
        options: As :func:`parse_options` returns them.
        epochs: Length that the schedule is scaled to.

    Raises:
        FileNotFoundError: No such config.
        ImportError: A module of its ``custom_imports`` is missing.
        ValueError: A file that is no config, an option that would change nothing, or a key, a type
            or a value that what it is for does not take.
    """
    cfg = read_config(name)
    merge_options(cfg, options, epochs)
    import_modules(cfg)
    check_config(cfg)
    return cfg


def parse_options(pairs: Sequence[str] | None) -> dict[str, Any]:
    """Parse ``KEY=VALUE`` strings as ``--cfg-options`` takes them, as a flat dict.

    Raises:
        ValueError: A string without ``=``, brackets that do not match, or two options for one key.

    >>> parse_options(["train_dataloader.batch_size=8", "model.backbone.out_indices=(2,3)"])
    {'train_dataloader.batch_size': 8, 'model.backbone.out_indices': (2, 3)}
    """
    options: dict[str, Any] = {}
    for pair in pairs or ():
        key = pair.partition("=")[0].strip()
        if not all(key.split(".")) or "=" not in pair:
            raise ValueError(
                f"expected --cfg-options as KEY=VALUE, got {pair!r}; write for example "
                "train_dataloader.batch_size=8"
            )
        for bracket, end in ("()", "[]", "{}"):
            if pair.count(bracket) != pair.count(end):
                raise ValueError(f"expected brackets that match, got {pair!r}")
        for other in options:
            if key == other or f"{key}.".startswith(f"{other}.") or other.startswith(f"{key}."):
                raise ValueError(f"expected one option for {key}, got {other} and {key}; drop one")
        parsed = argparse.Namespace()
        DictAction([], "options")(argparse.ArgumentParser(), parsed, [pair])
        options[key] = parsed.options[pair.partition("=")[0]]
    return options


def merge_options(
    cfg: Config, options: Mapping[str, Any] | None, epochs: int | None = None
) -> None:
    """Merge options into a config in place; a default hook that is None is taken out.

    ``epochs``, or the option ``train_cfg.max_epochs``, scales the whole schedule first; what other
    options set holds for the scaled one. Options whose key leads nowhere, or only builds other keys
    of the file, raise ``ValueError``.
    """
    options = dict(options or {})
    content = cfg.to_dict()
    for option, value in options.items():
        first, *rest = option.split(".")
        if first == "launcher":
            raise ValueError("expected no option launcher; give --launcher")
        if first not in cfg and first not in read_keys():
            known = sorted(key for key in {*cfg, *read_keys()} if not key.startswith("_"))
            raise ValueError(
                f"expected an option that starts with a key of the config, got {option!r}; "
                f"{nearest(first, known)}"
            )
        if first not in read_keys():
            _refuse_building_key(content, option)
        _check_path(content, option)
        if first == "model" and rest[:1] and rest[0] in ("train_cfg", "test_cfg"):
            import_modules(cfg)  # classes of its own are registered, and known
            _check_model_option(content["model"], option, rest)
        if first == "default_hooks" and len(rest) == 1 and value is None:
            hooks = [*content["default_hooks"], *STOCK_HOOKS]
            if rest[0] not in hooks:
                raise ValueError(
                    f"expected a hook of default_hooks, got {option!r}; {nearest(rest[0], hooks)}"
                )
    if "train_cfg.max_epochs" in options:
        if epochs is not None:
            raise ValueError(
                "expected --epochs or train_cfg.max_epochs, got both, which are one; leave one out"
            )
        epochs = options.pop("train_cfg.max_epochs")
    if epochs is not None:
        scale_schedule(cfg, epochs)
    cfg.merge_from_dict(options)
    for name, hook in dict(cfg.get("default_hooks") or {}).items():
        if hook is None and name not in STOCK_HOOKS:
            del cfg.default_hooks[name]


@cache
def read_keys() -> frozenset[str]:
    """Keys that somebody reads from a config when it is built: the runner, by its own source."""
    found = re.findall(r"(?<![\w.])(?:self\.)?cfg\.get\(\s*['\"](\w+)", inspect.getsource(Runner))
    parameters = {*inspect.signature(Runner.__init__).parameters} - {"self", "cfg"}
    return frozenset({*found, *parameters, "custom_imports"})


def _refuse_building_key(cfg: Mapping, option: str) -> None:
    paths = sorted(copies_of(cfg, option))
    if not paths:
        raise ValueError(
            f"expected an option that changes something, got {option!r}; nothing reads "
            f"{option.split('.')[0]} once the config file is read, and no other key is made of it"
        )
    flag = " (--data-root sets them all)" if option == "data_root" else ""
    raise ValueError(
        f"expected an option that changes something, but {option} only builds other keys while "
        f"the config file is read; set {', '.join(paths)}{flag}"
    )


def copies_of(cfg: Mapping, option: str) -> set[str]:
    """Find the paths in the final config that an option's value was copied to.

    The outermost list or dict on the option's path that stands as it is under a key that is read
    decides. Where none does, keys of the option's last name with its value do, which count for
    lists in any case (``input_size`` is taken out of ``codec``), and, for text, any key with it.
    """
    read = [(key, value) for key, value in cfg.items() if key in read_keys()]
    parts = option.split(".")
    last = _at(cfg, parts)
    same = {path for path, item in _below(read) if _same(item, last)}
    named = {path for path in same if path.rsplit(".", 1)[-1] == parts[-1]}
    for depth in range(1, len(parts) + 1):
        value = _at(cfg, parts[:depth])
        if kind_of(value) in ("dict", "list") and value:
            found = {path for path, item in _below(read) if _same(item, value)}
            if found:
                whole = {".".join((path, *parts[depth:])) for path in found}
                return whole | (named if kind_of(last) == "list" else set())
    return named or (same if kind_of(last) == "text" else set())


def _at(cfg: Mapping, parts: Sequence[str]) -> Any:
    """The value under a path; None where it leads nowhere."""
    value: Any = cfg
    for part in parts:
        value = dict(_items(value)).get(part)
    return value


def _below(items: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    for path, value in items:
        yield path, value
        yield from _below((f"{path}.{key}", item) for key, item in _items(value))


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    """Keys of a dict, or indices of a list, and values; none of anything else."""
    if isinstance(value, Mapping):
        return value.items()
    is_list = isinstance(value, list | tuple)
    return ((str(index), item) for index, item in enumerate(value if is_list else ()))


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


def _check_path(cfg: Mapping, option: str) -> None:
    """Refuse a path through something that is neither a dict nor a list, or past a list's end."""
    parts, value = option.split("."), cfg
    for depth, part in enumerate(parts):
        before = ".".join(parts[:depth])
        if isinstance(value, list | tuple):
            if not part.isdecimal() or int(part) >= len(value):
                ends = f"0 to {len(value) - 1}" if value else "none, for it is empty"
                raise ValueError(
                    f"expected an index of {before} ({ends}), got {part!r} in {option}"
                )
            if isinstance(value, tuple):
                raise ValueError(f"expected {before} as a whole, got {option}; give all its values")
            value = value[int(part)]
        elif isinstance(value, Mapping):
            if part not in value:
                return  # a new key, which check_config looks at
            value = value[part]
        else:
            raise ValueError(
                f"expected a key of the config, got {option}; {before} is {shown(value)}"
            )


def _check_model_option(model: Mapping, option: str, parts: Sequence[str]) -> None:
    """Refuse an option of ``model.test_cfg`` or ``train_cfg``, which have no signature.

    An option that counts is named in the source of the model or of one of its parts, as
    ``test_cfg.get("flip_test")`` is.
    """
    from mmpose.registry import MODELS

    options = model.get(parts[0]) or {}
    if len(parts) < 2 or parts[1] in options:
        return
    members = [model, *(part for part in model.values() if isinstance(part, Mapping))]
    names = [part["type"] for part in members if isinstance(part.get("type"), str)]
    classes = [target for target in map(MODELS.get, names) if inspect.isclass(target)]
    modules = {sys.modules[step.__module__] for each in classes for step in each.__mro__[:-1]}
    sources = "\n".join(inspect.getsource(module) for module in modules if module.__file__)
    if not re.search(rf"\b{re.escape(parts[1])}\b", sources):
        known = sorted(set(re.findall(r"(?:test|train)_cfg\.get\(\s*['\"](\w+)", sources)))
        raise ValueError(
            f"expected an option that {names[0]} or a part of it reads, got {option}; "
            f"{nearest(parts[1], [*options, *known])}"
        )
