"""Unnamed things that are pointed at: any number of one kind of point."""

from __future__ import annotations

from equikpt.metainfo.schema import Keypoint, build_metainfo

KEYPOINTS: tuple[Keypoint, ...] = (Keypoint("point", "upper", sigma=0.05, weight=1.0),)

METAINFO: dict = build_metainfo("points", KEYPOINTS, ()) | {"unnamed": True}
