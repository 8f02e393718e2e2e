"""The 17 keypoints of a person in COCO. The order of the rows is the file format.

Sigmas, links and weights are those of COCO and of MMPose's config for it.
"""

from __future__ import annotations

from equikpt.metainfo.schema import Keypoint, build_metainfo, links_along

KEYPOINTS: tuple[Keypoint, ...] = (
    Keypoint("nose", "upper", sigma=0.026, weight=1.0),
    Keypoint("left_eye", "upper", sigma=0.025, weight=1.0, swap="right_eye"),
    Keypoint("right_eye", "upper", sigma=0.025, weight=1.0, swap="left_eye"),
    Keypoint("left_ear", "upper", sigma=0.035, weight=1.0, swap="right_ear"),
    Keypoint("right_ear", "upper", sigma=0.035, weight=1.0, swap="left_ear"),
    Keypoint("left_shoulder", "upper", sigma=0.079, weight=1.0, swap="right_shoulder"),
    Keypoint("right_shoulder", "upper", sigma=0.079, weight=1.0, swap="left_shoulder"),
    Keypoint("left_elbow", "upper", sigma=0.072, weight=1.2, swap="right_elbow"),
    Keypoint("right_elbow", "upper", sigma=0.072, weight=1.2, swap="left_elbow"),
    Keypoint("left_wrist", "upper", sigma=0.062, weight=1.5, swap="right_wrist"),
    Keypoint("right_wrist", "upper", sigma=0.062, weight=1.5, swap="left_wrist"),
    Keypoint("left_hip", "lower", sigma=0.107, weight=1.0, swap="right_hip"),
    Keypoint("right_hip", "lower", sigma=0.107, weight=1.0, swap="left_hip"),
    Keypoint("left_knee", "lower", sigma=0.087, weight=1.2, swap="right_knee"),
    Keypoint("right_knee", "lower", sigma=0.087, weight=1.2, swap="left_knee"),
    Keypoint("left_ankle", "lower", sigma=0.089, weight=1.5, swap="right_ankle"),
    Keypoint("right_ankle", "lower", sigma=0.089, weight=1.5, swap="left_ankle"),
)

LINKS = links_along(
    "left_ankle left_knee left_hip",
    "right_ankle right_knee right_hip",
    "left_hip right_hip",
    "left_shoulder left_hip",
    "right_shoulder right_hip",
    "left_shoulder right_shoulder",
    "left_shoulder left_elbow",
    "right_shoulder right_elbow",
    "left_elbow left_wrist",
    "right_elbow right_wrist",
    "left_eye right_eye",
    "nose left_eye",
    "nose right_eye",
    "left_eye left_ear",
    "right_eye right_ear",
    "left_ear left_shoulder",
    "right_ear right_shoulder",
)

METAINFO: dict = build_metainfo("coco17", KEYPOINTS, LINKS)
