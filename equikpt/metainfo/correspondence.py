"""Correspondence of public animal datasets' keypoints with those of horse26, by anatomy.

The table was read off labelled images, not off names: AP-10K's "shoulder" of a hoofed animal is
clicked at the elbow, its "elbow" at the carpus and its "knee" at the hock, and points of like names
may be apart on the animal (throat and neck, ischium and tail base). A point without an equal has no
row entry; converted labels give it visibility 0, so it is neither trained nor evaluated.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from equikpt.metainfo.horse26 import KEYPOINTS

SIDES = ("left", "right")

HORSE26 = tuple(keypoint.name for keypoint in KEYPOINTS)

# fmt: off
AP10K = (
    "L_Eye", "R_Eye", "Nose", "Neck", "Root of tail",
    "L_Shoulder", "L_Elbow", "L_F_Paw", "R_Shoulder", "R_Elbow", "R_F_Paw",
    "L_Hip", "L_Knee", "L_B_Paw", "R_Hip", "R_Knee", "R_B_Paw",
)
"""MMPose's names. AP-10K's own files say the same in the same order, in other words (below)."""

AP10K_FILE_NAMES = (
    "left_eye", "right_eye", "nose", "neck", "root_of_tail",
    "left_shoulder", "left_elbow", "left_front_paw",
    "right_shoulder", "right_elbow", "right_front_paw",
    "left_hip", "left_knee", "left_back_paw", "right_hip", "right_knee", "right_back_paw",
)

ANIMALPOSE = (
    "L_Eye", "R_Eye", "L_EarBase", "R_EarBase", "Nose", "Throat", "TailBase", "Withers",
    "L_F_Elbow", "R_F_Elbow", "L_B_Elbow", "R_B_Elbow",
    "L_F_Knee", "R_F_Knee", "L_B_Knee", "R_B_Knee",
    "L_F_Paw", "R_F_Paw", "L_B_Paw", "R_B_Paw",
)

HORSE10 = (
    "Nose", "Eye", "Nearknee", "Nearfrontfetlock", "Nearfrontfoot",
    "Offknee", "Offfrontfetlock", "Offfrontfoot",
    "Shoulder", "Midshoulder", "Elbow", "Girth", "Wither",
    "Nearhindhock", "Nearhindfetlock", "Nearhindfoot", "Hip", "Stifle",
    "Offhindhock", "Offhindfetlock", "Offhindfoot", "Ischium",
)
# fmt: on

KEYPOINT_NAMES: dict[str, tuple[str, ...]] = {
    "horse26": HORSE26,
    "ap10k": AP10K,
    "animalpose": ANIMALPOSE,
    "horse10": HORSE10,
}
"""Each dataset's keypoints in the order of its files."""


class Row(NamedTuple):
    """One point of the horse and its name in each dataset; empty where the dataset lacks it."""

    horse26: str
    ap10k: str = ""
    animalpose: str = ""
    horse10: str = ""


TABLE: tuple[Row, ...] = (
    Row("nose", "Nose", "Nose", "Nose"),
    Row("l_eye", "L_Eye", "L_Eye", "Eye"),
    Row("r_eye", "R_Eye", "R_Eye", "Eye"),
    Row("l_ear", "", "L_EarBase", ""),
    Row("r_ear", "", "R_EarBase", ""),
    Row("neck", "Neck", "", ""),
    Row("withers", "", "Withers", "Wither"),
    Row("back"),
    Row("tail_base", "Root of tail", "TailBase", ""),
    Row("tail_end"),
    Row("l_elbow", "L_Shoulder", "L_F_Elbow", "Elbow"),
    Row("r_elbow", "R_Shoulder", "R_F_Elbow", "Elbow"),
    Row("l_knee", "L_Elbow", "L_F_Knee", "Nearknee"),
    Row("r_knee", "R_Elbow", "R_F_Knee", "Offknee"),
    Row("lf_fetlock", "", "", "Nearfrontfetlock"),
    Row("rf_fetlock", "", "", "Offfrontfetlock"),
    Row("lf_hoof", "L_F_Paw", "L_F_Paw", "Nearfrontfoot"),
    Row("rf_hoof", "R_F_Paw", "R_F_Paw", "Offfrontfoot"),
    Row("l_hip", "L_Hip", "L_B_Elbow", "Stifle"),
    Row("r_hip", "R_Hip", "R_B_Elbow", "Stifle"),
    Row("l_hock", "L_Knee", "L_B_Knee", "Nearhindhock"),
    Row("r_hock", "R_Knee", "R_B_Knee", "Offhindhock"),
    Row("lh_fetlock", "", "", "Nearhindfetlock"),
    Row("rh_fetlock", "", "", "Offhindfetlock"),
    Row("lh_hoof", "L_B_Paw", "L_B_Paw", "Nearhindfoot"),
    Row("rh_hoof", "R_B_Paw", "R_B_Paw", "Offhindfoot"),
)

FACING_CAMERA: dict[str, tuple[str, ...]] = {"horse10": ("Eye", "Elbow", "Stifle")}
"""Points with one label for both sides: the label sits on the side that faces the camera."""

NOTES: dict[tuple[str, str], str] = {
    ("ap10k", "L_Shoulder"): "of hoofed animals clicked at the elbow",
    ("ap10k", "R_Shoulder"): "of hoofed animals clicked at the elbow",
    ("ap10k", "L_Hip"): "clicked nearer the stifle than the point of the hip",
    ("ap10k", "R_Hip"): "clicked nearer the stifle than the point of the hip",
    ("animalpose", "L_B_Elbow"): "the stifle",
    ("animalpose", "R_B_Elbow"): "the stifle",
    ("animalpose", "Throat"): "under the jaw: not horse26's neck",
    ("horse10", "Eye"): "one label; it takes the side that faces the camera",
    ("horse10", "Elbow"): "one label; it takes the side that faces the camera",
    ("horse10", "Stifle"): "one label; it takes the side that faces the camera",
    ("horse10", "Ischium"): "the point of the buttock: not horse26's tail_base",
    ("horse10", "Hip"): "the point of the hip: horse26's hips are at the stifle",
}
"""Remark on a point for readers of the table: (dataset, keypoint) to a remark."""


def mapping(source: str, target: str = "horse26", camera_side: str | None = None) -> dict[str, str]:
    """Map names of ``source`` to those of ``target`` for the points that both have.

    Args:
        source: A dataset of :data:`KEYPOINT_NAMES`.
        target: Another one. Two that are not horse26 are joined through its rows.
        camera_side: The side of the horse that faces the camera, ``"left"`` or ``"right"``. It
            decides where the points of :data:`FACING_CAMERA` go. ``None`` leaves them out: a point
            on the wrong side would teach the model to mix the sides up.

    Raises:
        ValueError: If a dataset is unknown, both are the same, or ``camera_side`` is neither side.

    >>> mapping("ap10k")["Root of tail"], len(mapping("ap10k")), len(mapping("animalpose"))
    ('tail_base', 17, 19)
    >>> mapping("horse10", camera_side="left")["Stifle"]
    'l_hip'
    """
    for dataset in (source, target):
        if dataset not in KEYPOINT_NAMES:
            raise ValueError(
                f"no keypoint correspondence for dataset '{dataset}'; "
                f"there is one for {', '.join(KEYPOINT_NAMES)}"
            )
    if source == target:
        raise ValueError(f"source and target are both '{source}'; name two different datasets")
    if camera_side is not None and camera_side not in SIDES:
        raise ValueError(f"camera_side is '{camera_side}'; expected left, right or None")
    pairs: dict[str, str] = {}
    for row, keypoint in zip(TABLE, KEYPOINTS, strict=True):
        names = {dataset: getattr(row, dataset) for dataset in (source, target)}
        is_facing = any(name in FACING_CAMERA.get(key, ()) for key, name in names.items())
        if all(names.values()) and (not is_facing or keypoint.side == camera_side):
            pairs[names[source]] = names[target]
    return pairs


def index_pairs(
    source: str, target: str = "horse26", camera_side: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Give :func:`mapping` as index arrays of M points: ``target_points[b] = source_points[a]``.

    Returns:
        ``(a, b)``, each (M,) int64, in the order of horse26's rows. The way back is ``(b, a)``.
    """
    pairs = mapping(source, target, camera_side)
    return (
        np.array([KEYPOINT_NAMES[source].index(name) for name in pairs], np.int64),
        np.array([KEYPOINT_NAMES[target].index(name) for name in pairs.values()], np.int64),
    )
