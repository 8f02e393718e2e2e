"""Mistakes in COCO keypoint files and their pictures. One family of checks a file.

``checks.py`` has the table of checks, ``run.py`` the table of families; ``label_set.py`` is what a
family gets, and :class:`~equikpt.data_tools.verify.checks.Fault` what it yields.
"""

METAINFOS: tuple[str, ...] = ("horse26", "p1p2", "coco17")
"""Sets of keypoints that files can be checked against, so that listing them imports none."""
