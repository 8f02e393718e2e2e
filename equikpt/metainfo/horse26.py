"""The 26 keypoints of a horse. The order of the rows is the file format: never reorder them."""

from __future__ import annotations

from equikpt.metainfo.schema import Keypoint, Link, build_metainfo

KEYPOINTS: tuple[Keypoint, ...] = (
    Keypoint("nose", "upper", sigma=0.025, weight=1.0),
    Keypoint("l_eye", "upper", sigma=0.025, weight=1.0, swap="r_eye"),
    Keypoint("r_eye", "upper", sigma=0.025, weight=1.0, swap="l_eye"),
    Keypoint("l_ear", "upper", sigma=0.035, weight=0.8, swap="r_ear"),
    Keypoint("r_ear", "upper", sigma=0.035, weight=0.8, swap="l_ear"),
    Keypoint("neck", "upper", sigma=0.079, weight=1.2),
    Keypoint("withers", "upper", sigma=0.072, weight=1.5),
    Keypoint("back", "lower", sigma=0.079, weight=1.2),
    Keypoint("tail_base", "lower", sigma=0.079, weight=1.0),
    Keypoint("tail_end", "lower", sigma=0.089, weight=0.7),
    Keypoint("l_elbow", "upper", sigma=0.072, weight=1.3, swap="r_elbow"),
    Keypoint("r_elbow", "upper", sigma=0.072, weight=1.3, swap="l_elbow"),
    Keypoint("l_knee", "upper", sigma=0.062, weight=1.1, swap="r_knee"),
    Keypoint("r_knee", "upper", sigma=0.062, weight=1.1, swap="l_knee"),
    Keypoint("lf_fetlock", "upper", sigma=0.062, weight=1.0, swap="rf_fetlock"),
    Keypoint("rf_fetlock", "upper", sigma=0.062, weight=1.0, swap="lf_fetlock"),
    Keypoint("lf_hoof", "upper", sigma=0.107, weight=1.0, swap="rf_hoof"),
    Keypoint("rf_hoof", "upper", sigma=0.107, weight=1.0, swap="lf_hoof"),
    Keypoint("l_hip", "lower", sigma=0.087, weight=1.3, swap="r_hip"),
    Keypoint("r_hip", "lower", sigma=0.087, weight=1.3, swap="l_hip"),
    Keypoint("l_hock", "lower", sigma=0.062, weight=1.1, swap="r_hock"),
    Keypoint("r_hock", "lower", sigma=0.062, weight=1.1, swap="l_hock"),
    Keypoint("lh_fetlock", "lower", sigma=0.062, weight=1.0, swap="rh_fetlock"),
    Keypoint("rh_fetlock", "lower", sigma=0.062, weight=1.0, swap="lh_fetlock"),
    Keypoint("lh_hoof", "lower", sigma=0.107, weight=1.0, swap="rh_hoof"),
    Keypoint("rh_hoof", "lower", sigma=0.107, weight=1.0, swap="lh_hoof"),
)

LINKS: tuple[Link, ...] = (
    Link("nose", "l_eye"),
    Link("nose", "r_eye"),
    Link("l_eye", "l_ear"),
    Link("r_eye", "r_ear"),
    Link("nose", "neck"),
    Link("neck", "withers"),
    Link("withers", "back"),
    Link("back", "tail_base"),
    Link("tail_base", "tail_end"),
    Link("withers", "l_elbow"),
    Link("l_elbow", "l_knee"),
    Link("l_knee", "lf_fetlock"),
    Link("lf_fetlock", "lf_hoof"),
    Link("withers", "r_elbow"),
    Link("r_elbow", "r_knee"),
    Link("r_knee", "rf_fetlock"),
    Link("rf_fetlock", "rf_hoof"),
    Link("back", "l_hip"),
    Link("l_hip", "l_hock"),
    Link("l_hock", "lh_fetlock"),
    Link("lh_fetlock", "lh_hoof"),
    Link("back", "r_hip"),
    Link("r_hip", "r_hock"),
    Link("r_hock", "rh_fetlock"),
    Link("rh_fetlock", "rh_hoof"),
)

METAINFO: dict = build_metainfo("horse26", KEYPOINTS, LINKS)
