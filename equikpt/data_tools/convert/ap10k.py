"""AP-10K: COCO JSON, three random splits of the same images, 54 animals with 17 points."""

from __future__ import annotations

from pathlib import Path

from equikpt.data_tools.convert.coco_files import annotation_files
from equikpt.data_tools.convert.coco_json import read_files
from equikpt.data_tools.convert.records import SourceDataset
from equikpt.data_tools.convert.schemes import KeypointScheme
from equikpt.metainfo.correspondence import AP10K_FILE_NAMES

SPLIT_FILES = "ap10k-*-split1.json"


def read(source: Path, scheme: KeypointScheme, images: Path | None = None) -> SourceDataset:
    """Read AP-10K, or one file of it.

    Args:
        source: The folder with ``annotations/`` and ``data/``, or an annotation file.
        scheme: Names the keypoints where the file does not; otherwise AP-10K's own are taken.
        images: Folder of the images.

    Raises:
        FileNotFoundError: If there is no annotation file.
        ValueError: If it is no COCO keypoint JSON.
    """
    files = annotation_files(source, "*.json" if source.is_file() else SPLIT_FILES)
    dataset = read_files(files, scheme.keypoints or AP10K_FILE_NAMES, images)
    if source.is_dir():
        dataset.notes.append("of AP-10K's three splits the first is taken")
    return dataset
