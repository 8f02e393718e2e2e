"""An image whose points can be found again after it was moved."""

import numpy as np

BLOB_SIGMA_PX = 3.0
FLIP_INDICES = [1, 0, 2]


class BlobSample:
    """Three points (a left one, a right one, a middle one), each painted in a colour of its own."""

    def __init__(self, seed: int, width: int = 240, height: int = 200):
        rng = np.random.default_rng(seed)
        self.points = np.array([[75.0, 65.0], [160.0, 80.0], [110.0, 135.0]])
        self.points += rng.uniform(-12, 12, (3, 2))
        rows, columns = np.mgrid[:height, :width]
        self.image = np.zeros((height, width, 3), np.uint8)
        for channel, (x, y) in enumerate(self.points):
            square_px = (columns - x) ** 2 + (rows - y) ** 2
            blob = 250 * np.exp(-square_px / (2 * BLOB_SIGMA_PX**2))
            self.image[..., channel] = np.round(blob)

    def results(self, **extra) -> dict:
        low, high = self.points.min(axis=0) - 20, self.points.max(axis=0) + 20
        return dict(
            img=self.image.copy(),
            img_shape=self.image.shape[:2],
            ori_shape=self.image.shape[:2],
            keypoints=self.points[None].astype(np.float32),
            keypoints_visible=np.ones((1, 3), np.float32),
            keypoints_visibility=np.array([[2, 2, 2]], np.uint8),
            bbox=np.hstack([low, high])[None].astype(np.float32),
            flip_indices=list(FLIP_INDICES),
            **extra,
        )


def blob_centroids(image: np.ndarray) -> np.ndarray:
    """(3, 2) centroid of each colour in px; NaN where it is gone, cut off or touches the border."""
    centroids = np.full((3, 2), np.nan)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    for channel in range(3):
        mass = image[..., channel].astype(float)
        border = np.concatenate([mass[0], mass[-1], mass[:, 0], mass[:, -1]])
        if mass.sum() < 100 or border.max() > 0:
            continue
        centroids[channel] = (mass * columns).sum(), (mass * rows).sum()
        centroids[channel] /= mass.sum()
    return centroids


def orientation(triangle: np.ndarray) -> float:
    """Signed area of a triangle (3, 2): its sign tells an image from its mirror image."""
    (ax, ay), (bx, by) = triangle[1] - triangle[0], triangle[2] - triangle[0]
    return float(ax * by - ay * bx)
