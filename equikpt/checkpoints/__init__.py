"""Published weights: where they are, fetched, and mapped to other keypoints."""
