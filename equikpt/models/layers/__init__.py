"""Layers that MMPose lacks, one a file."""
