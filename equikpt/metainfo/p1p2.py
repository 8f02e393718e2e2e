"""The two ruler marks on a cephalogram. The order of the rows is the file format."""

from __future__ import annotations

from equikpt.metainfo.schema import Keypoint, Link, build_metainfo

# A mirrored radiograph shows the same ruler: p1 stays its lower end and p2 its upper end. The marks
# are not left and right of anything, so they do not swap under a flip.
#
# sigma: the marks are clicked to about a thousandth of the radiograph, which is the box here. OKS
# is of little use for them; what counts is the scale error (evaluation/).
KEYPOINTS: tuple[Keypoint, ...] = (
    Keypoint("p1", "lower", sigma=0.001, weight=1.0),
    Keypoint("p2", "upper", sigma=0.001, weight=1.0),
)

MARKS: tuple[str, ...] = tuple(keypoint.name for keypoint in KEYPOINTS)

LINKS: tuple[Link, ...] = (Link("p1", "p2"),)

METAINFO: dict = build_metainfo("p1p2", KEYPOINTS, LINKS) | {"radiographs": True}
