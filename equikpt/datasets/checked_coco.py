"""COCO-style dataset that checks its files before training starts."""

from __future__ import annotations

import os
import pickle
import tempfile
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.fileio import dump
from mmengine.logging import MessageHub, MMLogger
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS

from equikpt.core import image_checks
from equikpt.core.coco import checks as coco_checks
from equikpt.core.coco.box_checks import check_boxes
from equikpt.core.coco.file import load_coco
from equikpt.core.issues import Issue, format_examples, format_issues, refuse_errors
from equikpt.core.pipelines import fill_codec
from equikpt.datasets.description import Described
from equikpt_runtime.boxes import BOX_AREA_FRACTION

MAX_LISTED_MISSING = 10

SAMPLE_METAINFO = (
    *("dataset_name", "upper_body_ids", "lower_body_ids", "flip_pairs", "flip_indices"),
    *("dataset_keypoint_weights", "skeleton_links"),
)
"""Part of the metainfo that each sample carries, as in MMPose's dataset."""


class _OwnedAnnotation(dict):
    """An annotation that the base class need not copy: nothing else will use it."""

    def __deepcopy__(self, memo: dict) -> dict:
        return self


@DATASETS.register_module()
class CheckedCocoDataset(Described, BaseCocoStyleDataset):
    """:class:`BaseCocoStyleDataset` that checks its annotation file and its images.

    A subclass gives ``METAINFO`` and nothing else. Images that are missing on disk are left out
    of training and of the evaluation's ground truth; every other mistake stops with a message that
    names the offenders. Annotations without labelled keypoints and crowds are skipped, as MMPose
    does, and counted in the log.

    To each data info it adds ``keypoints_visibility``, (N, K) uint8, the file's 0 (not labelled),
    1 (occluded) or 2 (visible) beside MMPose's ``keypoints_visible``, which is 0 or 1.

    Evaluation: MMPose's dataset hands the path of its annotation file to ``CocoMetric``, whose
    ground truth then includes the missing images. This one does not, so a ``CocoMetric`` without
    ``ann_file`` builds it from the data samples. With ``bbox_file``, whose samples carry no
    annotation, it hands over a file without the missing images.

    Args:
        check_images: ``"header"`` opens every image at load and compares its size with the file;
            ``"full"`` decodes it as well; ``"none"`` only looks whether it exists.
        area_from_bbox: Fraction of the box that stands in for an area which is absent or not above
            0, as MMPose's 0.53. ``None`` stops at such annotations.
        max_missing_share: Maximum fraction of missing images, 0 to 1, with which to go on.
        codec: Of crops and targets of ``pipeline`` that name none.
        **kwargs: As :class:`BaseCocoStyleDataset`.

    Raises:
        FileNotFoundError: The annotation file or too many images are missing.
        ValueError: An option, the annotation file or an image is wrong, or nothing usable is left.
    """

    def __init__(
        self,
        *args,
        check_images: str = "header",
        area_from_bbox: float | None = None,
        max_missing_share: float = 0.1,
        codec: dict | None = None,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs,
    ) -> None:
        if check_images not in image_checks.MODES:
            modes = ", ".join(image_checks.MODES)
            raise ValueError(f"check_images is {check_images!r}; expected one of {modes}")
        if area_from_bbox is not None and not 0 < area_from_bbox <= 1:
            raise ValueError(
                f"area_from_bbox is {area_from_bbox}; expected one above 0, up to 1, or None"
            )
        if not 0 <= max_missing_share <= 1:
            raise ValueError(f"max_missing_share is {max_missing_share}; expected 0 to 1")
        self.check_images = check_images
        self.area_from_bbox = area_from_bbox
        self.max_missing_share = max_missing_share
        self.codec = codec
        super().__init__(*args, pipeline=fill_codec(pipeline, codec), **kwargs)
        # The base class has just published its annotation file, missing images and all.
        self._publish_ground_truth()

    def full_init(self) -> None:
        """Load, unless it is done, and publish the evaluation's ground truth."""
        super().full_init()
        self._sample_metainfo = pickle.dumps({key: self._metainfo[key] for key in SAMPLE_METAINFO})
        self._publish_ground_truth()

    def get_data_info(self, idx: int) -> dict:
        """The sample's own copies of its annotation and of the metainfo, as the base class."""
        # unpickling the metainfo takes a tenth of the time of the base class's deep copies
        data_info = BaseDataset.get_data_info(self, idx)
        data_info.update(pickle.loads(self._sample_metainfo))
        return data_info

    def _serialize_data(self) -> tuple[np.ndarray, np.ndarray]:
        """All samples as bytes (B,), and the end of each (N,); ``data_list`` is emptied on the way.

        The base class holds the samples and two copies of their bytes at once.
        """
        remaining = self.data_list[::-1]
        self.data_list.clear()
        content, ends = bytearray(), []
        while remaining:
            content += pickle.dumps(remaining.pop(), protocol=4)
            ends.append(len(content))
        return np.frombuffer(content, dtype=np.uint8), np.array(ends, dtype=np.int64)

    def load_data_list(self) -> list[dict]:
        """Read and check the annotation file and the images; errors as the class."""
        if not self.ann_file:
            raise ValueError(f"{type(self).__name__} got no ann_file; set it to a COCO JSON")
        content = self._read_content()
        names, needs_area = list(self.metainfo["keypoint_name2id"]), self.area_from_bbox is None
        self._raise_or_warn(coco_checks.check_coco(content, names, needs_area))
        self._raise_or_warn(check_boxes(content))
        if self.bbox_file:
            ids = {row["id"] for row in content["images"]}
            self._detections = coco_checks.check_detections(self.bbox_file, ids)
        self._complete(content)
        self._content = content = self._without_missing(content)
        self._raise_or_warn(image_checks.check_images(self._listed(content), self.check_images))
        data_list = super().load_data_list()
        if self.bbox_file:
            folder = tempfile.mkdtemp(prefix="equikpt_ground_truth_")
            self._ground_truth_file = str(Path(folder) / "ground_truth.json")
            dump(content, self._ground_truth_file)
            weakref.finalize(self, _remove_ground_truth, self._ground_truth_file, os.getpid())
            del self._detections
        del self._content
        if not data_list:
            raise ValueError(
                f"{self.ann_file} has no annotation to use: {len(content['annotations'])} belong "
                "to existing images, and none has labelled keypoints without being a crowd; "
                "label some, or correct the visibilities"
            )
        return data_list

    def _read_content(self) -> dict:
        """Read the annotation file in COCO's form; a subclass may read another format."""
        return load_coco(self.ann_file)

    def parse_data_info(self, raw_data_info: dict) -> dict | None:
        """As the base class, with the raw visibilities; ``None`` without box or keypoints."""
        annotation = raw_data_info["raw_ann_info"]
        if not annotation.get("keypoints") or not coco_checks.is_box(annotation.get("bbox")):
            return None
        owned = _OwnedAnnotation(annotation)
        data_info = super().parse_data_info({**raw_data_info, "raw_ann_info": owned})
        if data_info is not None:
            data_info["raw_ann_info"] = annotation
            data_info["keypoints_visibility"] = coco_checks.visibilities(annotation)[None]
        return data_info

    def _load_annotations(self) -> tuple[list[dict], list[dict]]:
        """Instances and images of the checked content; the base class would read the file."""
        self._metainfo["CLASSES"] = self._content["categories"]
        annotations_of: dict[int, list[dict]] = {}
        for annotation in self._content["annotations"]:
            annotations_of.setdefault(annotation["image_id"], []).append(annotation)
        instances, images = [], []
        for listed in self._content["images"]:
            if listed["id"] % self.sample_interval == 0:
                path = os.path.join(self.data_prefix["img"], listed["file_name"])
                images.append({**listed, "img_id": listed["id"], "img_path": path})
                instances += [
                    self.parse_data_info({"raw_ann_info": annotation, "raw_img_info": images[-1]})
                    for annotation in annotations_of.get(listed["id"], ())
                ]
        return [instance for instance in instances if instance is not None], images

    def _load_detection_results(self) -> list[dict]:
        """Detected boxes on the images that exist; the base class would read both files anew.

        They have no labels. MMPose calls their dummy points visible, so the visibility is 2.
        """
        self._metainfo["CLASSES"] = self._content["categories"]
        images = {image["id"]: image for image in self._content["images"]}
        num_keypoints = self.metainfo["num_keypoints"]
        used = [row for row in self._detections if row["category_id"] == coco_checks.USED_CATEGORY]
        return [
            dict(
                img_id=image["id"],
                img_path=os.path.join(self.data_prefix["img"], image["file_name"]),
                img_shape=(image["height"], image["width"]),
                bbox=np.array([[x, y, x + width, y + height]], np.float32),
                bbox_score=np.array([row["score"]], np.float32),
                keypoints=np.zeros((1, num_keypoints, 2), np.float32),
                keypoints_visible=np.ones((1, num_keypoints), np.float32),
                keypoints_visibility=np.full((1, num_keypoints), 2, np.uint8),
                id=number,
            )
            for number, row in enumerate(used)
            if (image := images.get(row["image_id"])) is not None
            for x, y, width, height in [row["bbox"]]
        ]

    def _raise_or_warn(self, issues: list[Issue]) -> None:
        """Stop at errors, all in one message, and log the other issues."""
        refuse_errors(issues, self.ann_file)
        for line in format_issues(issues):
            MMLogger.get_current_instance().warning(f"{self.ann_file}: {line}")

    def _complete(self, content: dict) -> None:
        """Fill in what the evaluation reads from annotations: area, crowd mark, point count."""
        filled = skipped = crowds = 0
        for annotation in content["annotations"]:
            annotation["iscrowd"] = int(bool(annotation.get("iscrowd")))
            annotation["num_keypoints"] = int((coco_checks.visibilities(annotation) > 0).sum())
            used = coco_checks.is_used(annotation)
            crowds += annotation["iscrowd"]
            skipped += not used and not annotation["iscrowd"]
            if not coco_checks.has_area(annotation) and coco_checks.is_box(annotation.get("bbox")):
                # Without area_from_bbox only unused annotations get here: no score reads theirs.
                fraction = self.area_from_bbox or BOX_AREA_FRACTION
                annotation["area"] = fraction * annotation["bbox"][2] * annotation["bbox"][3]
                filled += used
        logger = MMLogger.get_current_instance()
        if self.data_mode == "topdown" and (skipped or crowds):
            logger.info(
                f"{self.ann_file}: of {len(content['annotations'])} annotations, {skipped} without "
                f"labelled keypoints and {crowds} crowds are skipped"
            )
        if filled:
            logger.info(f"{self.ann_file}: {filled} areas are {self.area_from_bbox} of their boxes")

    def _listed(self, content: dict) -> list[image_checks.ListedImage]:
        if "img" not in self.data_prefix:
            raise ValueError(
                f"data_prefix is {dict(self.data_prefix)}; expected the folder of the images "
                "under the key 'img'"
            )
        return [
            image_checks.ListedImage(
                os.path.join(self.data_prefix["img"], row["file_name"]), row["width"], row["height"]
            )
            for row in content["images"]
        ]

    def _without_missing(self, content: dict) -> dict:
        """The content without the images that are not on disk, which the log lists."""
        listed = self._listed(content)
        lost = {image.path for image in image_checks.missing_images(listed)}
        if not lost:
            return content
        rows = content["images"]
        names = [rows[i]["file_name"] for i, image in enumerate(listed) if image.path in lost]
        message = (
            f"{len(names)} of {len(rows)} images of {self.ann_file} are missing under "
            f"{self.data_prefix['img'] or os.getcwd()} "
            f"({format_examples(names, MAX_LISTED_MISSING)})"
        )
        if len(names) == len(rows) or len(names) > self.max_missing_share * len(rows):
            other_case = image_checks.name_in_other_case(min(lost))
            advice = (
                f"'{other_case}' is there: make upper and lower case agree with the JSON"
                if other_case
                else "set data_root and data_prefix so that data_prefix['img'] + file_name is the "
                f"image, or raise max_missing_share (now {self.max_missing_share}) to go on without"
            )
            raise FileNotFoundError(f"{message}; {advice}")
        MMLogger.get_current_instance().warning(
            f"{message}; they are left out of training and evaluation"
        )
        kept = [rows[i] for i, image in enumerate(listed) if image.path not in lost]
        ids = {row["id"] for row in kept}
        annotations = [row for row in content["annotations"] if row["image_id"] in ids]
        return {**content, "images": kept, "annotations": annotations}

    def _publish_ground_truth(self) -> None:
        """Give ``CocoMetric``, through the message hub, the ground truth of this test."""
        if not self.test_mode:
            return
        hub = MessageHub.get_current_instance()
        key = f"{self.metainfo['dataset_name']}_ann_file"
        if not self.bbox_file:
            hub.pop_info(key, None)
        elif self._fully_initialized:
            hub.update_info(key, self._ground_truth_file)


def _remove_ground_truth(path: str, owner_pid: int) -> None:
    """Remove the file with its dataset, but not with the copies in data loader workers."""
    if os.getpid() == owner_pid:
        Path(path).unlink(missing_ok=True)
        Path(path).parent.rmdir()
