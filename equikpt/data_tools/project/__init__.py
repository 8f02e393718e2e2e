"""A project: one folder with labels, keypoint set and config, made from an export (``init``)."""
