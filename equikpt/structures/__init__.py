"""What passes between rooms: instances, heatmaps, ground truth, boxes."""
