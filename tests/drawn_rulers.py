"""Rulers drawn along two marks, for what looks at rulers."""

import cv2
import numpy as np

UPRIGHT = np.array([[110.0, 230.0], [110.0, 130.0]])
"""Marks (2, 2), 100 px apart."""


def draw_comb(
    marks: np.ndarray = UPRIGHT,
    teeth: float = 10.0,
    brightness: float = 120.0,
    length: float = 1.0,
    noise: float = 2.0,
    seed: int = 0,
) -> np.ndarray:
    """Draw a bar with teeth on its right side on a dark ground, (320, 220) uint8.

    Args:
        marks: p1 and p2.
        teeth: From mark to mark; 0 leaves a bar.
        brightness: Above that of the ground.
        length: Of the ruler, over the distance of the marks.
        noise: Standard deviation in gray values.
        seed: Of the noise.
    """
    along = marks[1] - marks[0]
    y, x = (np.mgrid[: 2 * 320, : 2 * 220] - 0.5) / 2
    from_p1 = np.stack([x, y], axis=-1) - marks[0]
    size = float(along @ along)
    on_way = from_p1 @ along / size
    aside = from_p1 @ np.array([-along[1], along[0]]) / size
    inside = (on_way >= 0) & (on_way <= length)
    bar = inside & (np.abs(aside + 0.04) <= 0.04)
    tooth = inside & (aside > 0) & (aside <= 0.1) & (on_way * teeth % 1 < 0.5) & (teeth > 0)
    drawn = cv2.resize((bar | tooth).astype(float), (220, 320), interpolation=cv2.INTER_AREA)
    clean = 40 + brightness * cv2.GaussianBlur(drawn, (0, 0), 0.8)
    grain = np.random.default_rng(seed).normal(0, noise, clean.shape)
    return np.clip(np.rint(clean + grain), 0, 255).astype(np.uint8)


def marks_at(number: int) -> np.ndarray:
    """Marks in another place, direction and distance for each number."""
    rng = np.random.default_rng([7, number])
    angle, half = np.radians(rng.uniform(-15, 15)), rng.uniform(35, 60)
    way = half * np.array([np.sin(angle), -np.cos(angle)])
    middle = np.array([110, 170]) + rng.uniform(-10, 10, 2)
    return np.stack([middle - way, middle + way])
