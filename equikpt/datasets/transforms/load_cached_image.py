"""Images and radiographs that are decoded once."""

from __future__ import annotations

import numpy as np
from mmengine import fileio
from mmpose.datasets.transforms import LoadImage
from mmpose.registry import TRANSFORMS

from equikpt.core.image import image_of_bytes, read_image
from equikpt.core.radiograph import read_radiograph
from equikpt.datasets.image_cache import FileStamp, ImageCache, default_cache
from equikpt.datasets.transforms.labels import require
from equikpt_runtime.images import as_image


@TRANSFORMS.register_module()
class LoadCachedImage(LoadImage):
    """MMPose's ``LoadImage`` by :func:`equikpt.core.image.read_image`, with a store.

    Of images of 8 bits it makes the same pixels. Of 10 to 16 bits it keeps those that are used,
    where ``LoadImage`` keeps the upper 8 of 16, in which an image of 12 bits is nearly black.

    The store (:class:`equikpt.datasets.image_cache.ImageCache`) is shared by the main process and
    its forked workers, by all data sets, and from epoch to epoch. A file whose time of change, size
    or inode differs is decoded again. Images that are not local files, and those of spawned
    workers, are decoded every time.

    ``results["img"]`` may be a read-only view of the store: a transform that writes into it raises
    instead of spoiling the image for all later epochs. ``to_float32`` makes a copy.

    Args:
        max_bytes: Bound on the decoded images in memory. None shares one store between all
            pipelines that name no bound: a quarter of the free memory, at most 4 GiB. 0 decodes
            every time.
        folder: Keep the decoded images in a nameless file there instead of in memory; needs
            ``max_bytes``.
        **kwargs: ``to_float32``, ``backend_args`` and ``ignore_empty`` of ``LoadImage``.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: ``max_bytes`` is below 0, there is a folder and no bound, or another option of
            ``LoadImage``.
    """

    read_image = staticmethod(read_image)

    def __init__(self, max_bytes: int | None = None, folder: str | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        require(
            self,
            folder is None or max_bytes is not None,
            "max_bytes beside folder, how large the file may become",
            folder=folder,
            max_bytes=max_bytes,
        )
        if (self.color_type, self.imdecode_backend) != ("color", "cv2") or self.file_client_args:
            raise ValueError(
                "expected LoadCachedImage(...) without color_type, imdecode_backend and "
                "file_client_args, since it reads as prediction does; leave them out, take "
                "backend_args, or LoadImage"
            )
        self.cache = default_cache() if max_bytes is None else ImageCache(max_bytes, folder)

    def transform(self, results: dict) -> dict | None:
        """Set ``img``, ``img_shape`` and ``ori_shape`` from the store or from the file.

        Raises:
            ImageError: The file is missing, damaged or no image.
        """
        if "img" in results:
            if results["img"].dtype == np.uint16:
                results["img"] = as_image(results["img"])
            return super().transform(results)
        try:
            image = self._image(results["img_path"])
        except OSError:
            if self.ignore_empty:
                return None
            raise
        results["img"] = image.astype(np.float32) if self.to_float32 else image
        results["img_shape"] = results["ori_shape"] = image.shape[:2]
        return results

    def _image(self, path: str) -> np.ndarray:
        """(H, W, 3), of the store where that has it."""
        if not self.cache.max_bytes or not self._is_local():
            return self._read(path)
        try:
            stamp = FileStamp.of(path)
        except OSError:
            return self._read(path)  # which says what is wrong with it
        name = f"{type(self).__name__} {path}"  # what reads in another way has another entry
        image = self.cache.get(name, stamp)
        if image is None:
            image = self._read(path)
            self.cache.put(name, stamp, image)
        return image

    def _read(self, path: str) -> np.ndarray:
        if self._is_local():
            return self.read_image(path)
        return image_of_bytes(fileio.get(path, backend_args=self.backend_args), path)

    def _is_local(self) -> bool:
        return (self.backend_args or {}).get("backend", "local") in ("local", "LocalBackend")

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, cache={self.cache})"


@TRANSFORMS.register_module()
class LoadRadiograph(LoadCachedImage):
    """:class:`LoadCachedImage` by :func:`equikpt.core.radiograph.read_radiograph`.

    Arguments are those of :class:`LoadCachedImage`; files must be local.
    """

    read_image = staticmethod(read_radiograph)

    def _read(self, path: str) -> np.ndarray:
        return self.read_image(path)
