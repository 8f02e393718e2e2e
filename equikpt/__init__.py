"""equikpt: keypoint models that small labelled sets can train, as MMPose modules and configs."""

__version__ = "0.1.0"
