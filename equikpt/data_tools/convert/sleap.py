"""SLEAP's ``.slp`` files, read by sleap-io: labelled instances on frames of videos or images."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from equikpt.data_tools.convert.images import ImageFolders, sizes_px
from equikpt.data_tools.convert.names import cut, path_parts
from equikpt.data_tools.convert.records import UNSPLIT, Instance, LabelledImage, SourceDataset
from equikpt.data_tools.convert.schemes import KeypointScheme, chosen_keypoints


def read(source: Path, scheme: KeypointScheme, images: Path | None = None) -> SourceDataset:
    """Read an ``.slp`` or ``.pkg.slp`` file; ``images`` is the folder of the videos, too.

    Frames of a video, or of images embedded in the file, become PNG files in the output.

    Raises:
        ImportError: If sleap-io is not installed.
    """
    labels = load_labels(source)
    nodes = [name for skeleton in labels.skeletons for name in skeleton.node_names]
    dataset = SourceDataset(keypoints=chosen_keypoints(scheme, nodes, source))
    edges = [edge for skeleton in labels.skeletons for edge in skeleton.edges]
    dataset.links = tuple((edge.source.name, edge.destination.name) for edge in edges)
    frames = [frame for frame in labels.labeled_frames if frame.user_instances]
    if not frames:
        raise ValueError(f"{source} has no labelled instance; label some, or accept predictions")
    # A video may be a list of images.
    paths = _image_files([f for f in frames if isinstance(f.video.filename, list)], source, images)
    sizes = sizes_px(path for path, _ in paths.values())
    last: dict[int, int] = defaultdict(int)
    for frame in frames:
        last[id(frame.video)] = max(frame.frame_idx, last[id(frame.video)])
    videos = {
        id(video): _Video(video, number, last[id(video)], source, images)
        for number, video in enumerate(labels.videos)
    }
    listed = []
    for frame in frames:
        instances = tuple(_instance(item, dataset.keypoints) for item in frame.user_instances)
        if id(frame) in paths:
            path, name = paths[id(frame)]
            listed.append(LabelledImage(path, *sizes.get(path, (0, 0)), instances, name))
        else:
            listed.append(videos[id(frame.video)].image(frame.frame_idx, instances))
    dataset.splits[UNSPLIT] = listed
    predicted = sum(len(frame.predicted_instances) for frame in labels.labeled_frames)
    if predicted:
        dataset.notes.append(f"{predicted} predicted instances are not read: they are no labels")
    return dataset


def load_labels(source: Path) -> Any:
    """Load a file without opening its videos.

    Raises:
        FileNotFoundError: It is not there.
        ImportError: sleap-io is not installed.
        ValueError: It is no SLEAP file.
    """
    try:
        import sleap_io
    except ImportError as error:
        raise ImportError(
            f"{source} needs sleap-io, which is not installed; run pip install 'equikpt[formats]'"
        ) from error
    if not source.is_file():
        raise FileNotFoundError(f"expected a file that SLEAP saved (.slp) at {source}, found none")
    try:
        return sleap_io.load_slp(str(source), open_videos=False)  # they may be addresses
    except Exception as error:  # sleap-io hands on whatever HDF5 and JSON raise at damage
        raise ValueError(
            f"{source} is no SLEAP file ({cut(str(error))}); save it again in SLEAP"
        ) from error


def _instance(item: Any, names: tuple[str, ...]) -> Instance:
    keypoints = np.zeros((len(names), 3))
    for name, xy in zip(item.skeleton.node_names, item.numpy(), strict=True):
        if name in names and np.isfinite(xy).all():
            keypoints[names.index(name)] = (*xy, 2)
    return Instance(None, keypoints)


def _image_files(
    frames: Sequence[Any], source: Path, images: Path | None
) -> dict[int, tuple[Path, str]]:
    """File and name in the output of each frame, by its id, where videos are lists of images."""
    try:
        stated = [str(frame.video.filename[frame.frame_idx]) for frame in frames]
    except IndexError as error:
        raise ValueError(
            f"{source} labels more images than it lists; save it again in SLEAP"
        ) from error
    parts = [path_parts(path) for path in stated]
    absolute = any(path != "/".join(own) for path, own in zip(stated, parts, strict=True))
    # Of absolute paths, which hold on somebody's machine only, the common folders are left out.
    shared = len(os.path.commonprefix([own[:-1] for own in parts])) if absolute else 0
    names = ["/".join(own[shared:]) for own in parts]
    root = images or source.parent
    found = ImageFolders([root], root=root).find_all(
        [["/".join(own), name] for own, name in zip(parts, names, strict=True)]
    )
    return {
        id(frame): (Path(path) if os.path.isfile(path) else other, name)
        for frame, path, other, name in zip(frames, stated, found, names, strict=True)
    }


class _Video:
    """A video of sleap-io, which may not be there, with the number of its last labelled frame."""

    def __init__(
        self, video: Any, number: int, last: int, source: Path, images: Path | None
    ) -> None:
        self._video, self._number, self._last, self._source = video, number, last, source
        self._path = Path()
        self._shape: tuple[int, ...] | None = None
        if not isinstance(video.filename, list):
            stated, root = Path(video.filename), images or source.parent
            parts = path_parts(str(stated))
            tails = [stated, *(root.joinpath(*parts[start:]) for start in range(len(parts)))]
            self._path = next((path for path in tails if os.path.isfile(path)), root / parts[-1])

    def image(self, index: int, instances: tuple[Instance, ...]) -> LabelledImage:
        """A frame, which is read again when it is written.

        Raises:
            ValueError: If it cannot be read.
        """
        name = f"video{self._number}_{self._path.stem}_{index:06d}.png"
        if not os.path.isfile(self._path):
            stated = self._video.shape or (0, 0, 0, 0)  # frames, height, width, channels
            return LabelledImage(self._path, stated[2], stated[1], instances, name)
        if self._shape is None:  # the first and the last frame, before anything is written
            self._read(self._last)
            self._shape = self._read(index).shape
        height, width = self._shape[:2]
        path = self._path.with_name(name)
        return LabelledImage(path, width, height, instances, name, pixels=lambda: self._read(index))

    def _read(self, index: int) -> np.ndarray:
        """(H, W, 3) RGB or (H, W) pixels of a frame."""
        try:
            if not self._video.is_open:
                self._video.replace_filename(self._path)
                self._video.open_backend = True
            pixels = np.asarray(self._video[index])
        except Exception as error:  # sleap-io hands on whatever its plugins raise
            raise ValueError(
                f"frame {index} of {self._path}, which {self._source} labels, cannot be read "
                f"({error}); is it the video that was labelled?"
            ) from error
        return pixels[..., 0] if pixels.shape[-1] == 1 else pixels
