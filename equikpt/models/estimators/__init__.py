"""Estimators that MMPose lacks, one a file."""
