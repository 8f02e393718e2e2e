"""Losses that MMPose lacks, one a file."""
