"""Descriptions that exported models carry: read from the file without any library of ONNX."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple
from xml.etree import ElementTree

import numpy as np

from equikpt_runtime.instance import level_index

KEY = "equikpt"
"""Name of the description among the metadata of the file."""
SCHEMA = 1
"""Newest form of it that is read."""
TASKS = ("keypoints", "ruler", "peaks", "points")
DEFAULT_SIGMA = 0.05
"""Fall-off of keypoints of which the file states none: tracks compare poses by it."""
_METADATA_FIELD = 14
"""Number of ``metadata_props`` in ONNX's ``ModelProto``."""


class Novelty(NamedTuple):
    """Greatest novelty of an image that is like the training, and the share that keep it."""

    limit: float
    level: float


@dataclass(frozen=True, eq=False)
class Description:
    """Inputs and outputs of an exported model, with the field names of its JSON.

    Args:
        task: One of ``TASKS``.
        names: Of the K keypoints.
        input: ``kind`` (crop, image), ``size`` [w, h], ``crop`` and ``reading``.
        plain: The whole JSON.
    """

    task: str
    names: tuple[str, ...]
    input: dict[str, Any]
    plain: dict[str, Any]

    @classmethod
    def parse(cls, text: str, path: str | os.PathLike) -> Description:
        """Read the JSON of a file.

        Raises:
            ValueError: It is of a newer schema, of an unknown task, or lacks a part.
        """
        try:
            plain = json.loads(text)
            schema, task = int(plain["schema"]), plain["task"]
            if schema <= SCHEMA and task in TASKS:
                return cls(task, tuple(plain["keypoints"]), plain["input"], plain)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"expected the description of a model in {path}, it cannot be read ({error!r}); "
                "export the model again"
            ) from error
        raise ValueError(
            f"expected a model of schema {SCHEMA} and one of the tasks {', '.join(TASKS)} in "
            f"{path}, got schema {schema} and {task!r}; pip install --upgrade equikpt-runtime"
        )

    @classmethod
    def read(cls, path: str | os.PathLike) -> Description:
        """Read the description of an ONNX file, or of OpenVINO's ``.xml``.

        Raises:
            FileNotFoundError: No such file.
            ValueError: No such file of a network, one that is cut, without a description, or as
                :meth:`parse`.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"expected an exported model at {path}, found no such file")
        is_openvino = is_openvino_file(path)
        try:
            properties = dict((_rt_info if is_openvino else _properties)(path))
        except (ValueError, IndexError, ElementTree.ParseError) as error:
            raise ValueError(
                f"expected {'an OpenVINO' if is_openvino else 'an ONNX'} file at {path}, it is "
                "damaged or none; copy or export it again"
            ) from error
        if KEY not in properties:
            raise ValueError(
                f"expected a model that equikpt exported in {path}, it has no such metadata; make "
                "one with equikpt export"
            )
        return cls.parse(properties[KEY], path)

    @property
    def novelty(self) -> Novelty | None:
        """Limit of refusals; None where the training left none."""
        stated = self.plain.get("novelty")
        return Novelty(float(stated["limit"]), float(stated["level"])) if stated else None

    def radius_factor(self, level: float) -> np.ndarray | None:
        """Factor (K,) from the file's radii to those of another level; None without radii.

        Raises:
            ValueError: The level is out of range, or there are no radii and it is not the default.
        """
        fit = self.plain.get("uncertainty")
        if fit is None:
            if level != 0.9:
                raise ValueError(
                    f"expected a model with radii for the level {level:g}, this one has none; "
                    "export a checkpoint that equikpt test --fit wrote them into"
                )
            return None
        factors = np.array(fit["factors"], float)  # None, which says nothing, becomes NaN
        wanted = factors[:, level_index(fit["levels"], level)]
        given = factors[:, level_index(fit["levels"], fit["level"])]
        return np.where(np.isfinite(wanted / given), wanted / given, np.inf)

    def metainfo(self) -> dict[str, Any]:
        """Names, links and colours as MMPose's parsed metainfo has them."""
        count = len(self.names)
        colors = self.plain.get("colors") or {}
        links = [tuple(link) for link in self.plain.get("skeleton") or ()]
        return dict(
            dataset_name=self.plain.get("name") or "model",
            unnamed=self.task == "points",
            num_keypoints=count,
            keypoint_id2name=dict(enumerate(self.names)),
            keypoint_colors=np.array(colors.get("keypoints") or [[51, 153, 255]] * count),
            skeleton_links=links,
            skeleton_link_colors=np.array(colors.get("skeleton") or [[230, 230, 230]] * len(links)),
            sigmas=np.array(self.plain.get("sigmas") or [DEFAULT_SIGMA] * count),
        )


def is_openvino_file(path: str | os.PathLike) -> bool:
    """Tell OpenVINO's own files, which ONNX Runtime does not read."""
    return Path(path).suffix == ".xml"


def _rt_info(path: str | os.PathLike) -> Iterator[tuple[str, str]]:
    """Keys and values of the metadata of an OpenVINO file."""
    for each in ElementTree.parse(path).getroot().iterfind("rt_info/*"):
        yield each.tag, each.get("value", "")


def _properties(path: str | os.PathLike) -> Iterator[tuple[str, str]]:
    """Keys and values of the metadata of an ONNX file, whose weights are passed over."""
    size = os.stat(path).st_size
    with open(path, "rb") as file:
        for number, length in _fields(file, size):
            if number != _METADATA_FIELD:
                file.seek(length, os.SEEK_CUR)
                continue
            end, pair = file.tell() + length, {}
            for inner, inner_length in _fields(file, end):
                pair[inner] = file.read(inner_length).decode()
            yield pair.get(1, ""), pair.get(2, "")


def _fields(file: IO[bytes], end: int) -> Iterator[tuple[int, int]]:
    """Numbers and lengths of the fields of a protobuf message up to ``end``, which begin here.

    Raises:
        ValueError: A field that reaches beyond the end, or that no message of ONNX has here.
    """
    while file.tell() < end:
        key = _varint(file)
        length = 0
        if key & 7 == 2:
            length = _varint(file)
        elif key & 7 == 0:
            _varint(file)
        else:
            raise ValueError("a field of a kind that has no place here")
        if file.tell() + length > end:
            raise ValueError("a field that reaches beyond the end")
        if key & 7 == 2:
            yield key >> 3, length


def _varint(file: IO[bytes]) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)[0]
        value |= (byte & 127) << shift
        if byte < 128:
            return value
    raise ValueError("a number without an end")
