"""A dataclass as a command line."""

import argparse
import importlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Literal

import pytest

from equikpt.cli import commands
from equikpt.cli import options as declare
from equikpt.cli.options import ABOVE_0, MAX_SEED, argument, number, option, parse, required, whole
from equikpt.core.machine import MAX_MEGAPIXELS_VARIABLE


@dataclass(frozen=True, kw_only=True)
class Stable(declare.ReadsImages):
    """Feed the horses.

    Twice a day.
    """

    horses: Sequence[str] = argument("by name", metavar="HORSE")
    hay_kg: float = required("50 % more in winter")
    box: Sequence[tuple[int, int]] = option("row and column", default=())
    span: tuple[float, float] | None = option("of the day")
    seed: int = declare.seed("of the order")
    buckets: int = option("to carry", default=2, type=whole(1))
    notes: Sequence[Path] | None = option("files to read")
    gait: Literal["walk", "trot"] = option("on the way", default="walk", group="out of doors")
    sing: bool = option("sing", default=False)
    sweep: bool = option("leave the floor", default=True)
    resume: str | None = option("go on", "--resume", "--again", nargs="?", const="auto")
    hot: bool = option("feed mash", default=False, at_most_one_of="feed")
    cold: bool = option("feed hay", default=False, at_most_one_of="feed")
    overwrite: bool = declare.overwrite("the list")


def read(*words: str) -> Stable:
    return parse(Stable, ["bella", "--hay-kg", "9", *words])


def test_defaults_are_the_dataclasses():
    assert read() == Stable(horses=["bella"], hay_kg=9.0)


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        ("--box 1 2 --box 3 4", "box", [[1, 2], [3, 4]]),
        ("--span 6.5 18", "span", [6.5, 18.0]),
        ("--buckets 3", "buckets", 3),
        ("--notes a b --notes c", "notes", [Path("a"), Path("b"), Path("c")]),
        ("--gait trot", "gait", "trot"),
        ("--sing", "sing", True),
        ("--no-sweep", "sweep", False),
        ("--resume", "resume", "auto"),
        ("--again epoch_3.pth", "resume", "epoch_3.pth"),
        ("--resume=epoch_3.pth", "resume", "epoch_3.pth"),
        ("--force", "overwrite", True),
        ("--overwrite", "overwrite", True),
        ("--sin", "sing", True),
    ],
)
def test_types_are_read(words, name, value):
    assert getattr(read(*words.split()), name) == value


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ([], "the following arguments are required: HORSE, --hay-kg"),
        (["bella", "--hay-kg", "much"], "--hay-kg"),
        (["bella", "--hay-kg", "1", "--buckets", "0"], "a whole number of at least 1, got '0'"),
        (["bella", "--hay-kg", "1", "--gait", "piaffe"], "--gait"),
        (["bella", "--hay-kg", "1", "--hot", "--cold"], "not allowed with"),
        (["bella", "--hay-kg", "1", "--oats"], "--oats"),
        (["bella", "--hay-kg", "1", "--max-megapixels", "0"], "a number above 0, got '0'"),
    ],
)
def test_a_mistake_is_one_line(words, part, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(Stable, words)
    printed = capsys.readouterr().err
    assert stopped.value.code == 2
    assert printed.startswith("error: ")
    assert part in printed
    assert printed.count("\n") == 1


def test_help_says_what_the_fields_say(capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(Stable, ["--help"], "Horses are patient.")
    printed = capsys.readouterr().out
    assert stopped.value.code == 0
    assert "Feed the horses.\n\nTwice a day.\n" in printed
    assert "out of doors:\n  --gait {walk,trot}" in printed
    assert "50 % more in winter" in printed
    assert "of the order (default: 0)" in printed
    assert "(default: 2)" in printed
    assert "Horses are patient." in printed
    assert "(default: False)" not in printed


def test_help_and_mistakes_name_the_command_as_it_is_typed(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["/anywhere/tools/feed.py"])
    for words in (["--help"], []):
        with pytest.raises(SystemExit):
            parse(Stable, words)
    printed = capsys.readouterr()
    assert printed.out.startswith("usage: equikpt feed ")
    assert "see equikpt feed --help" in printed.err


COMMANDS = sorted(path.stem for path in Path(commands.__file__).parent.glob("[a-z]*.py"))


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_of_a_command_says_what_it_is(name):
    """Not by its default alone, and by no phrase that begins in the air."""
    module = importlib.import_module(f"{commands.__name__}.{name}")
    declared = [
        each
        for kind in vars(module).values()
        if is_dataclass(kind) and kind.__module__ == module.__name__
        for each in fields(kind)
        if "help" in each.metadata
    ]
    assert declared
    for each in declared:
        text = each.metadata["help"]
        assert text == argparse.SUPPRESS or re.match(r"(?!of |for |that |in )\w", text), each.name


def test_the_size_of_images_is_inherited_by_workers(monkeypatch):
    monkeypatch.setenv(MAX_MEGAPIXELS_VARIABLE, "1")
    read()
    assert os.environ[MAX_MEGAPIXELS_VARIABLE] == "1"
    read("--max-megapixels", "900")
    assert os.environ[MAX_MEGAPIXELS_VARIABLE] == "900"


@pytest.mark.parametrize(
    ("parse", "good", "bad"),
    [
        (whole(1), "1", "0"),
        (whole(), "0", "-1"),
        (whole(), "7", "7.5"),
        (whole(0, MAX_SEED), str(MAX_SEED), str(MAX_SEED + 1)),
        (number(ABOVE_0), "0.1", "0"),
        (number(0, 1), "1", "1.1"),
        (number(), "-3", "nan"),
        (number(), "1e9", "inf"),
        (number(), "2", "two"),
    ],
)
def test_numbers_of_the_command_line(parse, good, bad):
    assert parse(good) == float(good)
    with pytest.raises(argparse.ArgumentTypeError, match=f"expected a .*got '{bad}'"):
        parse(bad)
