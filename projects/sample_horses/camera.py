"""A pinhole camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Camera:
    """Position and lens that the image is taken with.

    Attributes:
        position: (3,) metres; z is the height above the ground.
        rotation: (3, 3) rows are the image's right, down and viewing direction in the world.
        focal_px: focal length.
        centre_px: (2,) where the viewing direction meets the image.
    """

    position: Array
    rotation: Array
    focal_px: float
    centre_px: tuple[float, float]

    @classmethod
    def look_at(
        cls,
        position: Array,
        target: Array,
        focal_px: float,
        centre_px: tuple[float, float],
        roll_rad: float = 0.0,
    ) -> Camera:
        """A camera at ``position`` with ``target`` at ``centre_px``; the world's z is up.

        Raises:
            ValueError: the view is straight up or down, which leaves "up" undefined.
        """
        position = np.asarray(position, dtype=float)
        forward = np.asarray(target, dtype=float) - position
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        if np.linalg.norm(right) < 1e-6:
            raise ValueError("expected a view that is not vertical; move the camera or the target")
        right /= np.linalg.norm(right)
        down = np.cross(forward, right)
        cosine, sine = np.cos(roll_rad), np.sin(roll_rad)
        rotation = np.stack([cosine * right + sine * down, cosine * down - sine * right, forward])
        return cls(position, rotation, float(focal_px), centre_px)

    def project(self, points: Array) -> tuple[Array, Array]:
        """Pixel positions (N, 2) and depths (N,) along the viewing direction, in metres.

        Pixel (0, 0) has its centre at 0.5, 0.5: positions are measured from the image's corner.
        A point behind the camera gets a depth below zero and a position without meaning.
        """
        local = (np.asarray(points, dtype=float) - self.position) @ self.rotation.T
        depth = local[:, 2]
        safe = np.where(np.abs(depth) < 1e-6, 1e-6, depth)
        xy = local[:, :2] / safe[:, None] * self.focal_px + np.asarray(self.centre_px)
        return xy, depth

    def moved(self, shift_px: tuple[float, float]) -> Camera:
        """The same view with the frame moved, as a crop of a larger image would be."""
        centre = (self.centre_px[0] + shift_px[0], self.centre_px[1] + shift_px[1])
        return Camera(self.position, self.rotation, self.focal_px, centre)

    def rays(self, width: int, height: int) -> Array:
        """Viewing directions of the pixel centres in the world, (height, width, 3), not unit."""
        x = (np.arange(width) + 0.5 - self.centre_px[0]) / self.focal_px
        y = (np.arange(height) + 0.5 - self.centre_px[1]) / self.focal_px
        right, down, forward = self.rotation
        return x[None, :, None] * right + y[:, None, None] * down + forward
