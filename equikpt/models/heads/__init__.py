"""Heads that MMPose lacks, one a file."""
