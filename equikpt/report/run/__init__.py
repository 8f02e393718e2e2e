"""Read what a run has written."""
