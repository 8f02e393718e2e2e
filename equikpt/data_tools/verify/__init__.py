"""Mistakes in COCO keypoint files and their images. One family of checks a file.

A family takes the :class:`~equikpt.data_tools.verify.label_set.LabelSet` and yields
:class:`~equikpt.core.issues.Issue`; ``run.py`` has the table of families.
"""

METAINFOS: tuple[str, ...] = ("horse26", "p1p2", "coco17")
"""Sets of keypoints that files can be checked against, so that listing them imports none."""
