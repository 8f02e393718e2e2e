"""Poses of a four-legged animal of sticks, seen from anywhere around it and a little from above."""

from __future__ import annotations

import numpy as np

FORWARD_SIDE_UP = {
    "nose": (1.2, 0, 1.1),
    "l_ear": (1.0, 0.1, 1.4),
    "r_ear": (1.0, -0.1, 1.4),
    "withers": (0.6, 0, 1.0),
    "croup": (-0.6, 0, 1.0),
    "l_elbow": (0.5, 0.2, 0.6),
    "r_elbow": (0.5, -0.2, 0.6),
    "lf_hoof": (0.5, 0.2, 0.0),
    "rf_hoof": (0.5, -0.2, 0.0),
    "l_hock": (-0.7, 0.2, 0.5),
    "r_hock": (-0.7, -0.2, 0.5),
    "lh_hoof": (-0.6, 0.2, 0.0),
    "rh_hoof": (-0.6, -0.2, 0.0),
}
NAMES = tuple(FORWARD_SIDE_UP)
PAIRS = tuple(
    (name, name.replace("l", "r", 1)) for name in NAMES if name.startswith(("l_", "lf", "lh"))
)
PLACES = np.array(list(FORWARD_SIDE_UP.values()))


def draw_poses(count: int = 80, seed: int = 0, one_way: bool = False) -> np.ndarray:
    """(N, K, 3) px and visibility; legs swing, clicks are off, one point in ten has no label.

    ``one_way``: all walk to the right, as in a video of one pass.
    """
    rng = np.random.default_rng(seed)
    poses = []
    for _ in range(count):
        points = PLACES + rng.normal(0, 0.03, PLACES.shape)
        hoofs = [index for index, name in enumerate(NAMES) if name.endswith("hoof")]
        points[hoofs, 0] += rng.uniform(-0.25, 0.25, len(hoofs))
        yaw = rng.normal(0, 0.4) + (0 if one_way else np.pi * rng.integers(2))
        forward, side, up = points.T
        right = forward * np.cos(yaw) + side * np.sin(yaw)
        depth = side * np.cos(yaw) - forward * np.sin(yaw)
        image = np.stack([right, -(up + 0.3 * depth)], axis=1) * rng.uniform(60, 200) + 300
        image += rng.uniform(-100, 100, 2)
        labelled = rng.random(len(NAMES)) > 0.1
        poses.append(np.column_stack([image, 2 * labelled]) * labelled[:, None])
    return np.array(poses)
