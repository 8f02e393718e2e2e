"""The 26 keypoints of a horse. The order of the rows is the file format: never reorder them.

Sigmas and weights are estimates, not measurements: nobody has labelled horses twice to measure how
far annotators differ. Each sigma is one of those that COCO measured on people (AP-10K takes over
the same ones), by analogy: eyes, nose and ears as COCO's eyes and ears; knees, hocks and fetlocks
as its wrists; elbows and withers as its elbows; neck, back and tail base as its shoulders; hips as
its knees; the tail's end as its ankles; hooves as its hips. Weights stress the trunk and the upper
limbs; no experiment compared them with others. ``tools/estimate_sigmas.py`` measures the sigmas of
one's own labels.
"""

from __future__ import annotations

from equikpt.metainfo.schema import Keypoint, build_metainfo, links_along

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

LINKS = links_along(
    "nose l_eye",
    "nose r_eye",
    "l_eye l_ear",
    "r_eye r_ear",
    "nose neck withers back tail_base tail_end",
    "withers l_elbow l_knee lf_fetlock lf_hoof",
    "withers r_elbow r_knee rf_fetlock rf_hoof",
    "back l_hip l_hock lh_fetlock lh_hoof",
    "back r_hip r_hock rh_fetlock rh_hoof",
)

METAINFO: dict = build_metainfo("horse26", KEYPOINTS, LINKS)
