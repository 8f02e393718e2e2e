"""Work through many image files, of which one that is damaged ends no batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from equikpt.core.errors import sentence
from equikpt.core.image_decoding import ImageError

Path = TypeVar("Path")
Result = TypeVar("Result")


def each_image(
    paths: Iterable[Path], work: Callable[[Path], Result]
) -> Iterator[tuple[Path, Result | None, str]]:
    """Yield what ``work`` makes of each image, or None and what is wrong with the file.

    An :class:`ImageError`, and a library that an image needs and that is not installed, are cases
    of their own. Everything else, such as a full disk, concerns all images and is raised.
    """
    for path in paths:
        try:
            result = work(path)
        except (ImageError, ImportError) as error:
            yield path, None, sentence(error)
        else:
            yield path, result, ""


def failures(lines: Sequence[str], total: int, done: str = "read") -> list[str]:
    """Return what to say at a batch's end: how many images failed, then a line each.

    Args:
        lines: Path and reason of each that failed.
        total: Number of images.
        done: What could not be done with them.
    """
    if not lines:
        return []
    told = f"{len(lines)} of {total} images could not be {done}:"
    return [told, *(f"  {line}" for line in lines)]
