"""Parts of a command's work, for the tasks of an array job."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def shard(text: str) -> tuple[int, int]:
    """Read ``K/N``, as a ``type`` of argparse."""
    part, _, count = text.partition("/")
    if not (part.isdecimal() and count.isdecimal() and 1 <= int(part) <= int(count)):
        raise argparse.ArgumentTypeError(f"expected K/N with K from 1 to N, got {text!r}")
    return int(part), int(count)


def part_of(paths: Sequence[Path], shard: tuple[int, int] | None) -> list[Path]:
    """Choose the files of a shard, by their order by name; all without one."""
    part, count = shard or (1, 1)
    return sorted(paths, key=lambda path: path.stem)[part - 1 :: count]
