"""Pictures that are decoded once."""

from __future__ import annotations

import mmcv
import numpy as np
from mmpose.datasets.transforms import LoadImage
from mmpose.registry import TRANSFORMS

from equikpt.datasets.image_cache import FileStamp, ImageCache, default_cache


@TRANSFORMS.register_module()
class LoadCachedImage(LoadImage):
    """MMPose's ``LoadImage`` with a store of decoded pictures.

    The store is shared by the main process and all of its forked workers, by all data sets, and
    from epoch to epoch (:class:`equikpt.datasets.image_cache.ImageCache`). A file whose time of
    change, size or inode differs is decoded again. Without a store, with pictures that are not
    local files, and under spawned workers it does what ``LoadImage`` does.

    ``results["img"]`` may be a read-only view of the store: a transform that writes into it raises
    instead of spoiling the picture for all later epochs. ``to_float32`` makes a copy.

    Args:
        max_bytes: Bound on the decoded pictures in memory. None shares one store between all
            pipelines that name no bound: a quarter of the free memory, at most 4 GiB. 0 decodes
            every time.
        folder: Keep the decoded pictures in a nameless file there instead of in memory; needs
            ``max_bytes``.
        **kwargs: See ``LoadImage``.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: ``max_bytes`` is below 0, or there is a folder and no bound.
    """

    def __init__(self, max_bytes: int | None = None, folder: str | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        if folder is not None and max_bytes is None:
            raise ValueError(
                f"expected LoadCachedImage(max_bytes=...) beside folder={folder!r}, got none; say "
                "how large the file may become"
            )
        self.cache = default_cache() if max_bytes is None else ImageCache(max_bytes, folder)

    def transform(self, results: dict) -> dict | None:
        """Set ``img``, ``img_shape`` and ``ori_shape`` from the store or from the file."""
        picture = None if "img" in results else self._picture(results["img_path"])
        if picture is None:  # and the stock transform says what is wrong with the file, if anything
            return super().transform(results)
        return self._handed_over(results, picture)

    def _handed_over(self, results: dict, picture: np.ndarray) -> dict:
        """The sample with a decoded picture (H, W, C) and its size."""
        results["img"] = picture.astype(np.float32) if self.to_float32 else picture
        results["img_shape"] = results["ori_shape"] = picture.shape[:2]
        return results

    def _picture(self, path: str) -> np.ndarray | None:
        """The picture as the stock transform would decode it; None where that has to."""
        if not self.cache.max_bytes or not self._is_local():
            return None
        try:
            stamp = FileStamp.of(path)
        except (OSError, TypeError):
            return None
        name = f"{self.color_type} {self.imdecode_backend} {path}"
        picture = self.cache.get(name, stamp)
        if picture is None:
            picture = self._decode(path)
            if picture is not None:
                self.cache.put(name, stamp, picture)
        return picture

    def _decode(self, path: str) -> np.ndarray | None:
        try:
            with open(path, "rb") as file:
                content = file.read()
            return mmcv.imfrombytes(content, flag=self.color_type, backend=self.imdecode_backend)
        except Exception:  # decoders raise almost anything; the stock transform names the file
            return None

    def _is_local(self) -> bool:
        backend = (self.backend_args or {}).get("backend", "local")
        return self.file_client_args is None and backend in ("local", "LocalBackend")

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, cache={self.cache})"
