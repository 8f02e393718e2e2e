"""Conversion of foreign label formats to COCO JSON. One format a file; :data:`FORMATS` lists them.

A reader is a function ``read(folder: Path, scheme: KeypointScheme) -> SourceDataset``. It knows its
format and nothing else; mapping, split hygiene, writing and the checks of the output are shared.
"""

FORMATS: dict[str, str] = {
    "yolo-pose": "equikpt.data_tools.convert.yolo_pose:read",
}
"""Name on the command line to ``module:function``, so that listing formats imports none."""

SCHEMES: dict[str, str] = {
    "horses16": "16 points, without hips: the 12 points at the same place as in horse26",
    "horses16_stifle": "the same, with the stifles as hips: 14 points",
}
"""Keypoint schemes that come with the package; see ``convert/schemes.py``."""

TARGETS: tuple[str, ...] = ("horse26",)
"""Datasets that can be converted to; see ``convert/targets.py``."""
