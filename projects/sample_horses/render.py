"""From a scene to an image with labels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from projects.sample_horses.camera import Camera
from projects.sample_horses.ground import Light, draw_backdrop
from projects.sample_horses.horse import Horse
from projects.sample_horses.mesh import Mesh, merge
from projects.sample_horses.raster import coverage, interpolate, rasterise
from projects.sample_horses.scene import Scene

Array = np.ndarray

SUPERSAMPLING = 2
"""Samples of the z-buffer per pixel and axis."""
NEAR_M = 0.3

OUTSIDE, HIDDEN, VISIBLE = 0, 1, 2
"""COCO's visibility flags."""


@dataclass(frozen=True)
class Layers:
    """Content of the z-buffer, all (S·H, S·W) with S samples per pixel and axis.

    Attributes:
        instance: 0 background and props, i + 1 for horse i.
        depth_m: distance along the viewing direction, infinite for the background.
    """

    instance: Array
    depth_m: Array


@dataclass(frozen=True)
class HorseLabel:
    """The label of one horse.

    Attributes:
        keypoints: (26, 3) x, y (px of the image) and visibility; 0, 0, 0 out of the frame.
        bbox_xywh: around the visible silhouette, px.
        area_px: of the visible silhouette.
    """

    keypoints: Array
    bbox_xywh: tuple[float, float, float, float]
    area_px: float


@dataclass(frozen=True)
class Rendering:
    """A drawn scene: uint8 BGR (H, W, 3), one label a horse (None: nothing of it is seen)."""

    image: Array
    labels: list[HorseLabel | None]
    layers: Layers


def render(scene: Scene, width_px: int, height_px: int, grain_seed: int | None = None) -> Rendering:
    """Draw a scene and label its horses; the sensor's noise is the scene's, or of a seed."""
    size = (height_px, width_px)
    mesh = merge([horse.mesh(i + 1) for i, horse in enumerate(scene.horses)] + scene.props)
    fine_size = (height_px * SUPERSAMPLING, width_px * SUPERSAMPLING)
    xy, depth = scene.camera.project(mesh.vertices)
    depth = np.where(depth > NEAR_M, depth, 0.0)
    triangles, instance = _facing(mesh, xy, depth)
    triangle_at, nearness = rasterise(xy * SUPERSAMPLING, depth, triangles, fine_size)
    lit = _shade(mesh, scene.light, scene.camera)
    color = interpolate(lit, xy * SUPERSAMPLING, triangles, triangle_at)
    owner = np.where(triangle_at >= 0, instance[np.maximum(triangle_at, 0)], 0)
    with np.errstate(divide="ignore"):
        layers = Layers(owner, np.where(nearness > 0, 1 / nearness, np.inf))
    shadow = _shadows(mesh, scene.camera, scene.light, size)
    backdrop = draw_backdrop(scene.backdrop, scene.camera, scene.light, size, shadow)
    covered = (triangle_at >= 0).astype(np.float32)
    share = cv2.resize(covered, size[::-1], interpolation=cv2.INTER_AREA)[..., None]
    front = cv2.resize(color, size[::-1], interpolation=cv2.INTER_AREA)
    image = front + (1 - share) * backdrop
    image = np.clip(255 * np.clip(image, 0, 1) ** 0.72, 0, 255)
    labels = [label(horse, i + 1, scene.camera, layers) for i, horse in enumerate(scene.horses)]
    grain = _grain(image, scene.backdrop.seed, grain_seed)
    return Rendering(grain, labels, layers)


def label(horse: Horse, instance: int, camera: Camera, layers: Layers) -> HorseLabel | None:
    """Project a horse's keypoints and test each against the z-buffer.

    A keypoint is a joint centre beneath the skin. It counts as visible where its own horse is what
    the image shows there, and the surface is no farther in front than the part is thick
    (:data:`~projects.sample_horses.horse.TOLERANCE_M`).
    """
    mask = layers.instance == instance
    area = float(mask.sum()) / SUPERSAMPLING**2
    if area == 0:
        return None
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    left, top = columns[0] / SUPERSAMPLING, rows[0] / SUPERSAMPLING
    right, bottom = (columns[-1] + 1) / SUPERSAMPLING, (rows[-1] + 1) / SUPERSAMPLING
    xy, depth = camera.project(horse.keypoints_world())
    flags = visibility(xy, depth, horse.tolerances_m(), instance, layers)
    xy = np.where(flags[:, None] == OUTSIDE, 0.0, xy)
    keypoints = np.concatenate([xy, flags[:, None]], axis=1)
    return HorseLabel(keypoints, (left, top, right - left, bottom - top), area)


def visibility(
    xy_px: Array, depth_m: Array, tolerance_m: Array, instance: int, layers: Layers
) -> Array:
    """Flags (K,): 0 outside the frame, 1 behind something, 2 visible."""
    height, width = layers.instance.shape
    column = np.floor(xy_px[:, 0] * SUPERSAMPLING)
    row = np.floor(xy_px[:, 1] * SUPERSAMPLING)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height) & (depth_m > NEAR_M)
    at = (np.where(inside, row, 0).astype(int), np.where(inside, column, 0).astype(int))
    seen = (layers.instance[at] == instance) & (layers.depth_m[at] >= depth_m - tolerance_m)
    return np.where(inside, np.where(seen, VISIBLE, HIDDEN), OUTSIDE)


def _facing(mesh: Mesh, xy: Array, depth: Array) -> tuple[Array, Array]:
    """Triangles that show their front, and the instances they belong to."""
    corners = xy[mesh.triangles]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    # The image's y runs down: counter-clockwise in the world is negative here.
    front = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0
    keep = (front | mesh.two_sided) & (depth[mesh.triangles].min(1) > 0)
    return mesh.triangles[keep], mesh.instance[keep]


def _shade(mesh: Mesh, light: Light, camera: Camera) -> Array:
    """Light on every vertex, with a soft sheen towards the sun."""
    view = camera.position - mesh.vertices
    view /= np.linalg.norm(view, axis=1, keepdims=True)
    middle = view + light.direction
    middle /= np.maximum(np.linalg.norm(middle, axis=1, keepdims=True), 1e-6)
    sheen = np.clip(np.einsum("vc,vc->v", middle, mesh.normals), 0, 1) ** 18
    return mesh.albedo * light.shade(mesh.normals) + 0.10 * sheen[:, None] * light.sun


def _shadows(mesh: Mesh, camera: Camera, light: Light, size: tuple[int, int]) -> Array:
    """(H, W, 2): sunlight and skylight kept off the ground, each blurred as its source is wide."""
    layers = []
    for direction, blur_px, strength in (
        (light.direction, 0.7, 0.9),
        (np.array([0.0, 0.0, 1.0]), 2.5, 0.6),
    ):
        height = mesh.vertices[:, 2:]
        fallen = mesh.vertices - direction * (height / direction[2])
        fallen[:, 2] = 0.0
        xy, depth = camera.project(fallen)
        depth = np.where(depth > NEAR_M, depth, 0.0)
        # A closed surface throws the same shadow with its lit side alone.
        facing = mesh.normals[mesh.triangles[:, 0]] @ direction > -0.3
        casts = mesh.triangles[facing | mesh.two_sided]
        dark = coverage(xy, depth, casts, size).astype(np.float32)
        layers.append(strength * cv2.GaussianBlur(dark, (0, 0), blur_px))
    return np.stack(layers, axis=-1)


def _grain(image: Array, seed: int, frame: int | None) -> Array:
    """The noise of a camera's sensor, (H, W, 3) uint8; its strength is the scene's."""
    rng = np.random.default_rng(seed)
    strength = rng.uniform(1.0, 4.0)
    rng = rng if frame is None else np.random.default_rng([seed, frame])
    noise = rng.normal(0, strength, image.shape[:2]).astype(np.float32)
    return np.clip(image + noise[..., None] + 0.5, 0, 255).astype(np.uint8)
