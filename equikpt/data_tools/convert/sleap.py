"""SLEAP's ``.slp`` files, read by sleap-io: labelled instances on frames of films or pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from equikpt.data_tools.convert.pictures import PictureFolders, sizes_px
from equikpt.data_tools.convert.records import (
    UNSPLIT,
    Instance,
    LabelledImage,
    SourceDataset,
    safe_name,
)
from equikpt.data_tools.convert.schemes import KeypointScheme


def read(source: Path, scheme: KeypointScheme) -> SourceDataset:
    """Read the labels of a SLEAP project.

    Frames of a film, or of pictures embedded in the file, become PNG files in the output.

    Args:
        source: An ``.slp`` or ``.pkg.slp`` file.
        scheme: Its keypoints, if any, are the nodes to take; by default all.

    Raises:
        ImportError: If sleap-io is not installed.
        ValueError: If it is no such file.
    """
    labels = _load(source)
    nodes = [name for skeleton in labels.skeletons for name in skeleton.node_names]
    dataset = SourceDataset(splits={}, keypoints=scheme.keypoints or tuple(dict.fromkeys(nodes)))
    films = {id(video): index for index, video in enumerate(labels.videos)}
    listed, predicted = [], 0
    for frame in labels.labeled_frames:
        instances = tuple(_instance(item, dataset.keypoints) for item in frame.user_instances)
        predicted += len(frame.predicted_instances)
        if not instances:
            continue
        number = films[id(frame.video)]
        if isinstance(frame.video.filename, list):
            listed.append(_picture(source, frame, instances))
        else:
            listed.append(_film_frame(frame, number, instances))
    if not listed:
        raise ValueError(f"{source} has no labelled instance; label some, or accept predictions")
    dataset.splits[UNSPLIT] = _measured(listed)
    if predicted:
        dataset.notes.append(f"{predicted} predicted instances are not read: they are no labels")
    return dataset


def _load(source: Path) -> Any:
    try:
        import sleap_io
    except ImportError as error:
        raise ImportError(
            f"{source} needs sleap-io, which is not installed; run pip install 'equikpt[formats]'"
        ) from error
    try:
        return sleap_io.load_slp(str(source))
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(f"{source} is no SLEAP file ({error}); save it again in SLEAP") from error


def _instance(item: Any, names: tuple[str, ...]) -> Instance:
    keypoints = np.zeros((len(names), 3))
    for name, xy in zip(item.skeleton.node_names, item.numpy(), strict=True):
        if name in names and np.isfinite(xy).all():
            keypoints[names.index(name)] = (*xy, 2)
    return Instance(None, keypoints)


def _picture(source: Path, frame: Any, instances: tuple[Instance, ...]) -> LabelledImage:
    """A frame of a "film" that is a list of pictures."""
    stated = Path(frame.video.filename[frame.frame_idx])
    path = stated if stated.is_file() else PictureFolders([source.parent]).find_all(
        [[safe_name(str(stated))]]
    )[0]  # fmt: skip
    return LabelledImage(path, 0, 0, instances, safe_name(path.name))


def _film_frame(frame: Any, number: int, instances: tuple[Instance, ...]) -> LabelledImage:
    """A frame of a film, which is read when it is written."""
    film = Path(frame.video.filename)
    name = f"film{number}_{film.stem}_{frame.frame_idx:06d}.png"
    shape = frame.video.shape  # frames, height, width, channels; None without the film
    if shape is None:
        return LabelledImage(film.with_name(name), 0, 0, instances, name)
    return LabelledImage(
        film.with_name(name), shape[2], shape[1], instances, name, pixels=_reader(frame)
    )


def _reader(frame: Any) -> Callable[[], np.ndarray]:
    def read_pixels() -> np.ndarray:
        pixels = np.asarray(frame.image)
        return pixels[..., 0] if pixels.shape[-1] == 1 else pixels

    return read_pixels


def _measured(images: list[LabelledImage]) -> list[LabelledImage]:
    """The pictures with the sizes of their files."""
    sizes = sizes_px(image.path for image in images if image.pixels is None)
    return [
        image
        if image.path not in sizes
        else LabelledImage(image.path, *sizes[image.path], image.instances, image.name)
        for image in images
    ]
