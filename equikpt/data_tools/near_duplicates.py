"""Images that are nearly the same: compressed anew, resized, brightened, mirrored.

A perceptual hash of 64 bits finds the candidates; the fine structure of a thumbnail decides. The
hash alone would not do: it sees the coarse layout, which all radiographs of one machine share.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

import cv2
import imagehash
import numpy as np
import pandas as pd
from PIL import Image, ImageOps
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tqdm.contrib.concurrent import thread_map

from equikpt.core.image import read_image

MAX_BITS = 12
"""Bits of the 64 of two hashes that may differ. Of copies that were compressed anew, resized,
brightened, blurred or turned by one degree, 99 in 100 differ by up to 10."""
MIN_LIKENESS = 0.9
"""Copies have 0.95 and more, neighbouring frames of a clip 0.7 to 0.86, radiographs of two patients
on one machine up to 0.88, other images below 0.5. Lost are 13 in 100 copies that were turned by one
degree, 7 of those that were cropped by 1 percent of a side, and most of those cropped by 2."""
FINE_PX = 64
COARSE_SIGMA_PX = 4.0
COMPARED_AT_ONCE = 512

Result = TypeVar("Result")


class Fingerprint(NamedTuple):
    """Hashes that an image is compared by.

    Args:
        bits: Of its perceptual hash, 64 in one number.
        mirrored_bits: Of its mirror image.
        fine: (64, 64) float32, a thumbnail without its coarse structure, of mean 0 and norm 1; all
            0 for a plain image, which then is like no other.
    """

    bits: int
    mirrored_bits: int
    fine: np.ndarray


class NearPair(NamedTuple):
    """Two images that are nearly the same, by their indices in the list that was compared.

    Args:
        first: The earlier one.
        second: The later one.
        likeness: Correlation of their fine structure, up to 1.
        mirrored: One is the mirror image of the other.
    """

    first: int
    second: int
    likeness: float
    mirrored: bool


def fingerprint(gray: np.ndarray) -> Fingerprint:
    """Compute the fingerprint of an image, (H, W) uint8 gray values."""
    image = Image.fromarray(gray)
    # by the low frequencies of the cosine transform
    hashes = [imagehash.phash(each) for each in (image, ImageOps.mirror(image))]
    small = cv2.resize(gray, (FINE_PX, FINE_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    fine = small - cv2.GaussianBlur(small, (0, 0), COARSE_SIGMA_PX)
    fine -= fine.mean()
    norm = float(np.linalg.norm(fine))
    # Below one gray value a px there is nothing but noise.
    fine = fine / norm if norm > FINE_PX else np.zeros_like(fine)
    return Fingerprint(int(str(hashes[0]), 16), int(str(hashes[1]), 16), fine)


def read_once(paths: Iterable[str], read: Callable[[str], Result]) -> dict[str, Result]:
    """Results of ``read`` by path, in threads; a file that is named twice is read once."""
    distinct = list(dict.fromkeys(paths))
    found = thread_map(
        read,
        distinct,
        max_workers=min(16, 2 * (os.cpu_count() or 1)),
        desc="comparing images",
        unit="img",
        delay=5,
        disable=None,
    )
    return dict(zip(distinct, found, strict=True))


def read_fingerprints(paths: Iterable[str | os.PathLike]) -> list[Fingerprint]:
    """Fingerprints of image files, DICOM among them.

    Raises:
        OSError: A file is not there or cannot be decoded.
    """
    names = [os.fspath(path) for path in paths]
    by_path = read_once(
        names, lambda path: fingerprint(cv2.cvtColor(read_image(path), cv2.COLOR_BGR2GRAY))
    )
    return [by_path[name] for name in names]


def near_pairs(
    fingerprints: Sequence[Fingerprint],
    max_bits: int = MAX_BITS,
    min_likeness: float = MIN_LIKENESS,
) -> list[NearPair]:
    """Find all pairs of images that are nearly the same, mirror images among them, each once.

    Ten thousand images take a few seconds. Pairs are sorted by the later image, then the earlier.

    Args:
        fingerprints: Of N images.
        max_bits: Of 64, in which hashes may differ.
        min_likeness: Of the fine structure, above 0 and up to 1.
    """
    if not fingerprints:
        return []
    bits = np.array([each[:2] for each in fingerprints], np.uint64)
    fine = np.stack([each.fine for each in fingerprints])
    pairs: dict[tuple[int, int], NearPair] = {}
    for mirrored in (False, True):
        others = (fine[:, :, ::-1] if mirrored else fine).reshape(len(fine), -1)
        for start in range(0, len(fine), COMPARED_AT_ONCE):
            end = start + COMPARED_AT_ONCE
            differing = np.bitwise_count(bits[start:end, :1] ^ bits[:, int(mirrored)])
            candidate = differing <= max_bits
            candidate &= np.arange(len(fine)) < np.arange(start, start + len(candidate))[:, None]
            rows, columns = np.flatnonzero(candidate.any(1)), np.flatnonzero(candidate.any(0))
            likeness = fine[start:end].reshape(len(candidate), -1)[rows] @ others[columns].T
            near = candidate[np.ix_(rows, columns)] & (likeness >= min_likeness)
            for row, column in zip(*np.nonzero(near), strict=True):
                first, second = int(columns[column]), start + int(rows[row])
                pair = NearPair(first, second, float(likeness[row, column]), mirrored)
                pairs.setdefault((second, first), pair)
    return [pairs[key] for key in sorted(pairs)]


def clusters(count: int, links: Iterable[tuple[int, int]]) -> np.ndarray:
    """Number N = ``count`` images, (N,); those that a chain of links connects have one number.

    Numbers begin at 0, in the order of the first images; a link is the indices of two images.
    """
    ends = np.array(list(links), int).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), ends.T), shape=(count, count))
    return pd.factorize(connected_components(graph, directed=False)[1])[0]
