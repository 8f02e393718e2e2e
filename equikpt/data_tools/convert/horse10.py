"""Horse-10: 22 points of thoroughbreds, near (left) and off (right), in COCO-like JSON.

Its files swap width and height, give the bottom edge of a box for its top, number annotations from
0 and repeat the category; the reader of COCO's dialects puts each right and says so. The names of
the points are not in the file.
"""

from __future__ import annotations

from pathlib import Path

from equikpt.data_tools.convert.coco_files import annotation_files, left_out
from equikpt.data_tools.convert.coco_json import read_files
from equikpt.data_tools.convert.records import SourceDataset
from equikpt.data_tools.convert.schemes import KeypointScheme
from equikpt.metainfo.correspondence import HORSE10


def read(source: Path, scheme: KeypointScheme, images: Path | None = None) -> SourceDataset:
    """Read Horse-10.

    Args:
        source: An annotation file, or a folder with one for each split.
        scheme: Names the keypoints where the file does not; otherwise Horse-10's own are taken.
        images: Folder of the images.

    Raises:
        FileNotFoundError: If there is no annotation file.
        ValueError: If it is no COCO keypoint JSON.
    """
    files = annotation_files(source)
    dataset = read_files(files, scheme.keypoints or HORSE10, images)
    dataset.notes += left_out(source, files)
    return dataset
