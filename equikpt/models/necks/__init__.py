"""Necks that MMPose lacks, one a file."""
