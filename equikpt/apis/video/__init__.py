"""From poses of single frames to animals that move: tracks, smoothing, tables."""
