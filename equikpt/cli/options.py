"""Options declared once: the fields of a dataclass are the command line of a command.

A field's type says how its text is read: ``int``, ``Path``, ``Literal`` (a choice), ``bool`` (a
flag, ``--no-NAME`` where the default is True), ``tuple[float, float]`` (two values), ``Sequence``
(one value or more, and the option may be repeated). In the help, a number is an ``N`` and a
``Path`` a ``FILE``. Everything else is argparse's.
"""

from __future__ import annotations

import argparse
import inspect
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from equikpt.core.machine import MAX_MEGAPIXELS_VARIABLE

Options = TypeVar("Options")
Split = Literal["train", "val", "test"]
METAVARS: dict[type, dict[str, str]] = {
    **{kind: dict(metavar="N") for kind in (int, float)},
    Path: dict(metavar="FILE"),
}
UNSAID = (None, False, True, (), "", MISSING)
"""Defaults that the help need not name."""
MAX_SEED = 2**32 - 1
"""Largest seed of numpy's generators."""
ABOVE_0 = sys.float_info.min
"""As the lower bound of :func:`number`."""
SHARED = ("group", "one_of", "at_most_one_of")
"""Settings of :func:`option` that several options have in common."""


def argument(help: str, default: Any = MISSING, **settings: Any) -> Any:
    """Declare a field that is given by its position."""
    return field(default=default, metadata=dict(settings, help=help, names=None))


def option(help: str, *names: str, default: Any = None, **settings: Any) -> Any:
    """Declare a field that is given by its name.

    Args:
        help: One phrase; a default that says something is added to it.
        names: As typed, the first one first; without any, ``--FIELD-NAME``.
        default: The field's.
        settings: Of argparse's ``add_argument``, and ``group`` (a title that options stand under),
            ``one_of`` and ``at_most_one_of`` (a name that alternatives have in common).
    """
    return field(default=default, metadata=dict(settings, help=help, names=names))


def required(help: str, *names: str, **settings: Any) -> Any:
    """Declare an :func:`option` that must be given."""
    return option(help, *names, default=MISSING, required=True, **settings)


def parse(options: type[Options], argv: Sequence[str] | None, epilog: str = "") -> Options:
    """Read a command line into a dataclass; its docstring is the description.

    A line that cannot be read, and ``--help``, end the program as argparse does.
    """
    parser = _Parser(
        prog=f"equikpt {Path(sys.argv[0]).stem}",
        description=inspect.cleandoc(options.__doc__ or ""),
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    hints, holders = get_type_hints(options), {}
    declared: tuple[Field, ...] = fields(options)  # type: ignore[arg-type]  # a dataclass
    own = options.__annotations__
    for each in sorted(declared, key=lambda each: each.name not in own):  # inherited ones last
        settings = dict(each.metadata)
        holder: Any = parser
        for kind, name in [(kind, settings.pop(kind, None)) for kind in SHARED]:
            if name and name not in holders:
                holders[name] = (
                    holder.add_argument_group(name)
                    if kind == "group"
                    else holder.add_mutually_exclusive_group(required=kind == "one_of")
                )
            holder = holders.get(name, holder)
        _add(holder, each, settings, hints[each.name])
    return options(**vars(parser.parse_args(argv)))


def _add(holder: Any, each: Field, settings: dict[str, Any], hint: Any) -> None:
    names, settings["default"] = settings.pop("names"), argparse.SUPPRESS
    settings = {**_read_as(hint, each.default, is_option=names is not None), **settings}
    if settings["help"] != argparse.SUPPRESS:
        said = any(each.default is one for one in UNSAID) or "(default" in settings["help"]
        text = settings["help"] + ("" if said else f" (default: {each.default})")
        settings["help"] = text.replace("%", "%%")
    if names is None:
        if each.default is not MISSING:
            settings["default"] = each.default  # argparse reads its own mark as a path
        holder.add_argument(each.name, **settings)
        return
    negation = "no-" if each.default is True else ""
    usual = f"--{negation}{each.name.replace('_', '-')}"
    holder.add_argument(*(names or (usual,)), dest=each.name, **settings)


def _read_as(hint: Any, default: Any = None, *, is_option: bool) -> dict[str, Any]:
    """Translate a field's type into the settings of ``add_argument``."""
    if get_origin(hint) in (Union, UnionType):
        (hint,) = (kind for kind in get_args(hint) if kind is not NoneType)
    if hint is bool:
        return dict(action="store_false" if default is True else "store_true")
    kind, inner = get_origin(hint), get_args(hint)
    if kind is Literal:
        return dict(choices=inner)
    if kind is tuple:
        return dict(nargs=len(inner), type=inner[0])
    if kind is None:
        return dict(type=hint, **METAVARS.get(hint, {}))
    each = _read_as(inner[0], is_option=is_option)
    if "nargs" in each:
        return dict(each, action="append")
    return dict(each, nargs="+", **(dict(action="extend") if is_option else {}))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """End with one line instead of the usage."""
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


# --- types of argparse ---


def whole(low: int = 0, high: float = math.inf) -> Callable[[str], int]:
    """Make a ``type`` of argparse: a whole number within bounds."""
    return _bounded(int, "a whole number", low, high)


def number(low: float = -math.inf, high: float = math.inf) -> Callable[[str], float]:
    """Make a ``type`` of argparse: a finite number within bounds."""
    return _bounded(float, "a number", low, high)


def _bounded(kind: Callable[[str], Any], name: str, low: float, high: float) -> Callable:
    bounds = " above 0" if low == ABOVE_0 else f" of at least {low}"
    if high < math.inf:
        bounds = f" from {low} to {high}"
    elif low == -math.inf:
        bounds = ""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not (low <= value <= high and math.isfinite(value)):
            raise argparse.ArgumentTypeError(f"expected {name}{bounds}, got {text!r}")
        return value

    return parse


# --- options that mean the same in every command ---


@dataclass(frozen=True, kw_only=True)
class ReadsImages:
    """Options of a command that reads images; its workers inherit the variable."""

    max_megapixels: float | None = option(
        f"largest image that is read (default: 250; the same as {MAX_MEGAPIXELS_VARIABLE}=N)",
        type=number(ABOVE_0),
        metavar="N",
    )

    def __post_init__(self) -> None:
        if self.max_megapixels is not None:
            os.environ[MAX_MEGAPIXELS_VARIABLE] = f"{self.max_megapixels:.12g}"


@dataclass(frozen=True, kw_only=True)
class Launched(ReadsImages):
    """Options of a command that may run as several processes.

    ``python -m torch.distributed.launch`` passes the local rank; torchrun sets the variable.
    """

    launcher: Literal["none", "pytorch", "slurm", "mpi"] = option(
        "what starts the processes", default="none"
    )
    local_rank: int | None = option(argparse.SUPPRESS, "--local_rank", "--local-rank")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.local_rank is not None:
            os.environ.setdefault("LOCAL_RANK", str(self.local_rank))


def boxes(help: str, **settings: Any) -> Any:
    """Declare an :func:`option` on where boxes come from."""
    return option(help, group="boxes (default: the whole image)", **settings)


@dataclass(frozen=True, kw_only=True)
class Detects(ReadsImages):
    """Options of a command that predicts in the boxes of a detector."""

    detector: str | None = boxes(
        "detector of torchvision, such as fasterrcnn_resnet50_fpn_v2, or a config of mmdet (.py)",
        metavar="NAME",
    )
    detector_checkpoint: Path | None = boxes(
        "weights of the detector; none is downloaded", metavar="FILE.pth|DIR"
    )
    detector_class: str = boxes("class that is looked for", default="horse", metavar="NAME")
    detector_score: float = boxes("min score of a box", default=0.5, metavar="SCORE")


@dataclass(frozen=True, kw_only=True)
class FindsBoxes(Detects):
    """Options of a command that predicts in boxes, of a file or of a detector."""

    ann_file: Path | None = boxes("COCO annotations that have the boxes", metavar="FILE.json")


def config_argument() -> Any:
    """Declare the config that a command takes first."""
    return argument(
        "a config file, the name of one that equikpt ships, or a project folder", metavar="CONFIG"
    )


def checkpoint_option(**settings: Any) -> Any:
    """Declare the trained weights of ``--config``."""
    return option(
        "trained weights, or the folder of their run (default: of the config's work dir the best)",
        metavar="FILE.pth|DIR",
        **settings,
    )


def cfg_options() -> Any:
    """Declare changes of a config's keys."""
    return option(
        "override keys of the config, such as train_dataloader.batch_size=8", metavar="KEY=VALUE"
    )


def data_root() -> Any:
    """Declare the folder of the data."""
    return option(
        "folder of the data, with annotations/ and images/ (default: the config's)", metavar="DIR"
    )


def work_dir(text: str) -> Any:
    """Declare the folder of a run."""
    return option(f"{text} (default: the config's, or work_dirs/CONFIG)", metavar="DIR")


def overwrite(what: str = "files that exist") -> Any:
    """Declare that files may be replaced."""
    return option(f"replace {what}", "--overwrite", "--force", default=False)


def device() -> Any:
    """Declare where a model computes."""
    return option(
        "cpu, mps, or a GPU such as cuda:0 (default: a GPU if there is one)", metavar="NAME"
    )


def refuse(what: str) -> Any:
    """Declare that images unlike those of the training get no result."""
    return option(f"{what} of images unlike those of the training all the same", default=True)


def img_dir(text: str = "folder of the images", **settings: Any) -> Any:
    """Declare the folder that images are in."""
    return option(text, "--img-dir", "--images", metavar="DIR", **settings)


def seed(text: str, default: int | None = 0) -> Any:
    """Declare a seed."""
    return option(text, default=default, type=whole(0, MAX_SEED))
