"""Ground, hills, trees and sky behind the horses, one colour a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from projects.sample_horses.camera import Camera

Array = np.ndarray
Color = tuple[float, float, float]

TILE = 256
FAR_M = 110.0
"""Extent of the open ground."""

GROUNDS: dict[str, tuple[Color, Color, float]] = {
    "grass": ((0.09, 0.27, 0.17), (0.14, 0.36, 0.27), 0.26),
    "dry grass": ((0.16, 0.33, 0.36), (0.24, 0.44, 0.50), 0.22),
    "sand": ((0.40, 0.52, 0.60), (0.48, 0.60, 0.68), 0.10),
    "dirt": ((0.17, 0.24, 0.31), (0.24, 0.32, 0.40), 0.16),
    "gravel": ((0.36, 0.38, 0.40), (0.46, 0.48, 0.50), 0.13),
    "snow": ((0.72, 0.69, 0.66), (0.82, 0.80, 0.78), 0.05),
}
"""Two colours (BGR, before light) that mix in patches, and the contrast of the fine grain."""
GROUND_WEIGHTS = (0.42, 0.14, 0.16, 0.14, 0.09, 0.05)


@dataclass(frozen=True)
class Light:
    """Sun and sky; colours are BGR factors.

    Attributes:
        direction: (3,) unit vector towards the sun.
        sun: what a surface facing the sun receives.
        sky: what a surface facing up receives from the sky.
        bounce: what a surface facing down receives from the ground.
    """

    direction: Array
    sun: Array
    sky: Array
    bounce: Array

    def shade(self, normals: Array) -> Array:
        """Light (…, 3) that falls on surfaces with these unit normals (…, 3)."""
        up = 0.5 + 0.5 * normals[..., 2:3]
        facing = np.clip(normals @ self.direction, 0, 1)[..., None]
        return self.bounce * (1 - up) + self.sky * up + self.sun * facing


@dataclass(frozen=True)
class Backdrop:
    """The part of a scene that no horse can stand behind.

    Attributes:
        ground: row of :data:`GROUNDS`.
        zenith: colour of the sky overhead, BGR.
        horizon: colour of the sky low down.
        clouds: 0 clear, 1 covered.
        hills: height of the hills as a tangent of elevation; 0 for none.
        trees: height of the tree line likewise.
        seed: of all its textures.
    """

    ground: str
    zenith: Color
    horizon: Color
    clouds: float
    hills: float
    trees: float
    seed: int


def random_light(rng: np.random.Generator) -> tuple[Light, float]:
    """Sunshine or an overcast sky; also how overcast it is, 0..1."""
    overcast = float(np.clip(rng.beta(0.7, 1.5), 0, 1))
    height = np.deg2rad(rng.uniform(22, 70))
    bearing = rng.uniform(0, 2 * np.pi)
    direction = np.array(
        [np.cos(height) * np.cos(bearing), np.cos(height) * np.sin(bearing), np.sin(height)]
    )
    warmth = rng.uniform(0, 1) * (1 - height)
    sun = (1 - 0.85 * overcast) * np.array([0.82 - 0.22 * warmth, 0.92 - 0.06 * warmth, 1.0])
    sky = (0.55 + 0.35 * overcast) * np.array([1.04, 1.0, 0.95])
    exposure = float(np.exp(rng.normal(0, 0.13)))
    light = Light(direction, exposure * sun, exposure * sky, exposure * 0.30 * np.ones(3))
    return light, overcast


def random_backdrop(rng: np.random.Generator, overcast: float) -> Backdrop:
    """Ground, sky and horizon by their weights."""
    blue = np.array([0.80, 0.52, 0.28]) * rng.uniform(0.75, 1.15)
    gray = np.full(3, rng.uniform(0.55, 0.85))
    zenith = (1 - overcast) * blue + overcast * gray
    horizon = 0.45 * zenith + 0.55 * np.array([0.86, 0.84, 0.80])
    return Backdrop(
        ground=str(rng.choice(list(GROUNDS), p=np.asarray(GROUND_WEIGHTS))),
        zenith=(float(zenith[0]), float(zenith[1]), float(zenith[2])),
        horizon=(float(horizon[0]), float(horizon[1]), float(horizon[2])),
        clouds=float(rng.uniform(0, 1)),
        hills=float(rng.choice([0.0, rng.uniform(0.02, 0.16)])),
        trees=float(rng.choice([0.0, rng.uniform(0.03, 0.28)], p=[0.35, 0.65])),
        seed=int(rng.integers(2**31)),
    )


def draw_backdrop(
    backdrop: Backdrop, camera: Camera, light: Light, size: tuple[int, int], shadow: Array
) -> Array:
    """The backdrop, (H, W, 3) BGR before the tone curve.

    Args:
        backdrop: what to draw.
        camera: of an image of this size.
        light: that falls on the ground.
        size: (height, width) px.
        shadow: (H, W) share of the sunlight and of the skylight that things on the ground keep
            off, stacked: (H, W, 2), 0..1.
    """
    rng = np.random.default_rng(backdrop.seed)
    tile = _noise_tile(rng)
    rays = camera.rays(size[1], size[0]).astype(np.float32)
    level = np.maximum(np.hypot(rays[..., 0], rays[..., 1]), 1e-6)
    elevation = rays[..., 2] / level
    bearing = np.arctan2(rays[..., 1], rays[..., 0])
    image = _sky(backdrop, elevation, bearing, tile)
    image = _horizon(backdrop, image, elevation, bearing, tile, light, rng)
    # Trees and hills stand on the ground, not beyond its end.
    below = elevation < -camera.position[2] / FAR_M
    distance = float(camera.position[2]) / np.maximum(-elevation, 1e-4)
    ground = _ground(backdrop, camera, rays, distance, tile)
    up = np.array([0.0, 0.0, 1.0])
    sun = _color(light.sun * max(float(light.direction @ up), 0.0))
    lit = ground * (_color(light.sky) * (1 - shadow[..., 1:]) + sun * (1 - shadow[..., :1]))
    haze = (1 - np.exp(-distance / 500.0))[..., None]
    lit = (1 - haze) * lit + haze * (0.9 * _color(backdrop.horizon))
    return np.where(below[..., None], lit, image).astype(np.float32)


def _color(color: Color | Array) -> Array:
    """As float32: the backdrop is computed in single precision, for speed."""
    return np.asarray(color, dtype=np.float32)


def _noise_tile(rng: np.random.Generator) -> Array:
    """(TILE, TILE) float32 noise of several octaves that repeats without a seam, deviation 1."""
    total = np.zeros((TILE, TILE), np.float32)
    for cells in (8, 16, 32, 64, 128):
        grid = rng.normal(size=(cells, cells)).astype(np.float32)
        wrapped = np.pad(grid, 2, mode="wrap")
        scale = TILE // cells
        large = cv2.resize(wrapped, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        total += large[2 * scale : -2 * scale, 2 * scale : -2 * scale] / np.float32(cells**0.2)
    return (total - total.mean()) / total.std()


def _sample(tile: Array, u: Array, v: Array) -> Array:
    """The tile at positions in tile widths, repeated without end."""
    x, y = ((axis - np.floor(axis)).astype(np.float32) * np.float32(TILE) for axis in (u, v))
    return cv2.remap(tile, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _sky(backdrop: Backdrop, elevation: Array, bearing: Array, tile: Array) -> Array:
    rise = np.sqrt(np.clip(elevation / 0.6, 0, 1))[..., None]
    sky = (1 - rise) * _color(backdrop.horizon) + rise * _color(backdrop.zenith)
    high = np.maximum(elevation, 0.02)
    field = _sample(tile, bearing * 0.35 / (0.3 + high), 0.45 / (0.3 + high))
    # Near the horizon clouds are too thin and too far to be told apart.
    low = np.clip(elevation / 0.10, 0, 1)
    cloud = (low * np.clip(0.5 * (field + 2.4 * backdrop.clouds - 1.6), 0, 0.8))[..., None]
    return (1 - cloud) * sky + cloud * _color((0.90, 0.89, 0.88))


def _horizon(
    backdrop: Backdrop,
    image: Array,
    elevation: Array,
    bearing: Array,
    tile: Array,
    light: Light,
    rng: np.random.Generator,
) -> Array:
    """Hills, then a line of trees in front of them."""
    phase = rng.uniform(0, 2 * np.pi, 4)
    glow = _color(light.sky + 0.4 * light.sun)
    if backdrop.hills:
        ridge = 0.6 + 0.25 * np.sin(3 * bearing + phase[0]) + 0.15 * np.sin(11 * bearing + phase[1])
        hill = (elevation < backdrop.hills * ridge)[..., None]
        grain = 1 + 0.10 * _sample(tile, 2.0 * bearing, 3.0 * elevation)[..., None]
        color = 0.55 * _color((0.22, 0.30, 0.22)) * glow + 0.35 * _color(backdrop.horizon)
        image = np.where(hill, color * grain, image)
    if backdrop.trees:
        crowns = _sample(tile, 0.9 * bearing + 0.3, np.full_like(bearing, 0.37))
        leaves = _sample(tile, 5.0 * bearing, 7.0 * elevation)
        top = backdrop.trees * (0.7 + 0.18 * crowns + 0.05 * leaves)
        tree = (elevation < top)[..., None]
        tone = rng.uniform([0.05, 0.12, 0.07], [0.11, 0.24, 0.20])
        shade = np.clip(0.85 + 0.28 * leaves + 0.35 * elevation / backdrop.trees, 0.35, 1.7)
        image = np.where(tree, _color(tone) * glow * shade[..., None], image)
    return image


def _ground(backdrop: Backdrop, camera: Camera, rays: Array, distance: Array, tile: Array) -> Array:
    first, second, contrast = GROUNDS[backdrop.ground]
    level = np.maximum(np.hypot(rays[..., 0], rays[..., 1]), 1e-6)
    reach = np.minimum(distance, 400.0) / level
    x = float(camera.position[0]) + rays[..., 0] * reach
    y = float(camera.position[1]) + rays[..., 1] * reach
    # Grain finer than a pixel would flicker: each scale fades where it can no longer be seen.
    footprint = distance**2 / (camera.focal_px * max(float(camera.position[2]), 0.3))
    grain = np.zeros_like(x)
    for width, share in ((1.5, 1.0), (6.0, 0.8), (25.0, 0.6)):
        seen = np.clip(width / 40 / np.maximum(footprint, 1e-4), 0, 1)
        grain += share * seen * _sample(tile, x / width, y / width + 0.31 * width)
    patch = np.clip(0.5 + 0.4 * _sample(tile, x / 40.0, y / 40.0), 0, 1)[..., None]
    color = (1 - patch) * _color(first) + patch * _color(second)
    return color * np.clip(1 + contrast * grain, 0.25, 2.0)[..., None]
