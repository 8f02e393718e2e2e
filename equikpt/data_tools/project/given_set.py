"""The keypoint set as far as the user gives it: a YAML file, or the set of another project."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from equikpt.core.typed_json import refuse_wrong_types
from equikpt.data_tools.convert.input_files import read_text, read_yaml
from equikpt.data_tools.convert.schemes import NO_SCHEME, KeypointScheme
from equikpt.metainfo import read_keypoint_set

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class GivenSet:
    """Parts of a keypoint set that are known beside the labels.

    Args:
        scheme: Names of the source's keypoints and their own ones, as the readers take it.
        links: Lines of the skeleton; None for those of the labels.
        flip_pairs: Points that swap; None for what names and labels tell.
        text: A whole set as it stands in ``keypoints.py``, empty where it is to be made.
    """

    scheme: KeypointScheme
    links: Pairs | None = None
    flip_pairs: Pairs | None = None
    text: str = ""


class SetFile(msgspec.Struct):
    """A keypoint set as YAML."""

    keypoints: list[str] | None = None
    mapping: dict[str, str] | None = None
    skeleton: list[tuple[str, str]] | None = None
    flip_pairs: list[tuple[str, str]] | None = None
    classes: list[str] | None = None


def given_set(path: Path | None) -> GivenSet:
    """Read a YAML file of :class:`SetFile`, or a ``keypoints.py``; without a path nothing is given.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no keypoint set.
    """
    if path is None:
        return GivenSet(replace(NO_SCHEME, numbered=True))
    if not path.is_file():
        raise FileNotFoundError(
            f"no file {path}; give YAML with keypoints, skeleton and flip_pairs, or the "
            "keypoints.py of another project"
        )
    if path.suffix == ".py":
        info = read_keypoint_set(path)["keypoint_info"]
        names = tuple(info[index]["name"] for index in sorted(info))
        scheme = KeypointScheme(names, {name: name for name in names}, numbered=True)
        return GivenSet(scheme, text=read_text(path))
    content = read_yaml(path)
    keys = set(content) if isinstance(content, dict) else set()
    if not keys or not keys <= set(SetFile.__struct_fields__):
        raise ValueError(
            f"{path} has the keys {sorted(map(str, keys))}; expected one or more of "
            f"{', '.join(SetFile.__struct_fields__)}"
        )
    quotes = "names in quotes that YAML takes for something else, like off, no or 1"
    refuse_wrong_types(content, SetFile, str(path), quotes)
    file = msgspec.convert(content, SetFile)
    names = tuple(file.keypoints or ())
    mapping = file.mapping or {name: name for name in names}
    scheme = KeypointScheme(names, mapping, classes=tuple(file.classes or ()), numbered=True)
    links = None if file.skeleton is None else tuple(file.skeleton)
    pairs = None if file.flip_pairs is None else tuple(file.flip_pairs)
    return GivenSet(scheme, links, pairs)
