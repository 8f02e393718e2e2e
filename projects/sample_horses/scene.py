"""Random scenes: who stands where, and how the camera looks at them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from projects.sample_horses.camera import Camera
from projects.sample_horses.ground import (
    Backdrop,
    Light,
    random_backdrop,
    random_light,
)
from projects.sample_horses.horse import Horse, random_horse
from projects.sample_horses.mesh import Mesh
from projects.sample_horses.props import fence, shrub, tufts

Array = np.ndarray

MIN_HORSE_PX = 64.0
"""A horse that would look smaller is not drawn: nobody could label it."""
MAX_HORSE_PX = 330.0
HORSE_RADIUS_M = 0.62
"""Half the width that a horse keeps free around its axis, with its neighbour's."""


@dataclass(frozen=True)
class Scene:
    """All that an image shows; horse ``i`` of the list is instance ``i + 1``."""

    camera: Camera
    horses: list[Horse]
    props: list[Mesh]
    light: Light
    backdrop: Backdrop


def random_scene(rng: np.random.Generator, width_px: int, height_px: int) -> Scene:
    """Draw a scene around one main horse at the world's origin.

    Most images show one or two horses of a good size and whole; one in eight is cut off by the
    frame, one in three has something that may hide a part.
    """
    horse = random_horse(rng, (0.0, 0.0), float(rng.uniform(0, 2 * np.pi)))
    camera = _frame(rng, horse, width_px, height_px)
    horses = [horse]
    for _ in range(int(rng.choice([0, 1, 2], p=[0.60, 0.28, 0.12]))):
        other = _companion(rng, horses, camera, (width_px, height_px))
        if other is not None:
            horses.append(other)
    light, overcast = random_light(rng)
    backdrop = random_backdrop(rng, overcast)
    return Scene(camera, horses, _props(rng, horses, camera, backdrop), light, backdrop)


def _frame(rng: np.random.Generator, horse: Horse, width_px: int, height_px: int) -> Camera:
    """A camera that shows the horse at a drawn size, somewhere in the frame."""
    diagonal = np.hypot(width_px, height_px)
    focal_px = float(diagonal * np.exp(rng.uniform(np.log(0.75), np.log(2.2))))
    wanted_px = float(rng.uniform(0.48, 0.78)) * width_px
    distance = focal_px * 2.3 / wanted_px
    height = rng.uniform(0.7, 2.2) if rng.random() < 0.8 else rng.uniform(2.2, 4.5)
    # Looking down steeper than this is not how people photograph horses.
    height = min(height, 1.2 + 0.45 * distance)
    camera = Camera.look_at(
        np.array([-distance, 0.0, height]),
        np.array([0.0, 0.0, 1.05]),
        focal_px,
        (width_px / 2, height_px / 2),
        float(np.deg2rad(np.clip(rng.normal(0, 1.5), -4, 4))),
    )
    low, high = _extent(camera, horse)
    size = np.array([width_px, height_px])
    margin = 0.03 * size
    free_low, free_high = margin - low, size - margin - high
    if rng.random() < 0.12:  # cut off: up to 40 % of the horse beyond one side
        axis = int(rng.random() < 0.25)
        beyond = rng.uniform(0.1, 0.4) * (high - low)[axis]
        edge = free_low[axis] - beyond if rng.random() < 0.5 else free_high[axis] + beyond
        shift = np.where(free_low < free_high, rng.uniform(0.2, 0.8, 2), 0.5)
        shift = free_low + shift * (free_high - free_low)
        shift[axis] = edge
    else:
        shift = free_low + rng.uniform(0, 1, 2) * (free_high - free_low)
    return camera.moved((float(shift[0]), float(shift[1])))


def _extent(camera: Camera, horse: Horse) -> tuple[Array, Array]:
    """Corners of the box around the projected keypoints, px."""
    xy, _ = camera.project(horse.keypoints_world())
    return xy.min(0), xy.max(0)


def _companion(
    rng: np.random.Generator, horses: list[Horse], camera: Camera, size: tuple[int, int]
) -> Horse | None:
    """Another horse that bumps into nobody, is not tiny, and neither hides nor is hidden."""
    draft = random_horse(rng, (0.0, 0.0), 0.0)
    for _ in range(12):
        position = (float(rng.uniform(-2.5, 9.0)), float(rng.uniform(-5.0, 5.0)))
        heading = float(rng.uniform(0, 2 * np.pi))
        other = replace(draft, position=position, heading_rad=heading)
        if all(_apart(other, horse) for horse in horses) and _fits(other, horses, camera, size):
            return other
    return None


def _apart(first: Horse, second: Horse) -> bool:
    along = np.array([-0.9, -0.3, 0.3, 0.9, 1.5])[:, None]
    places = [
        np.asarray(horse.position) + along * horse.build.size * horse.forward[:2]
        for horse in (first, second)
    ]
    gaps = np.linalg.norm(places[0][:, None] - places[1][None], axis=2)
    return bool(gaps.min() > 2 * HORSE_RADIUS_M)


def _fits(other: Horse, horses: list[Horse], camera: Camera, size: tuple[int, int]) -> bool:
    xy, depth = camera.project(other.keypoints_world())
    if depth.min() < 1.5:
        return False
    in_frame = np.all((xy >= 0) & (xy < np.asarray(size)), axis=1).mean()
    box = np.concatenate([xy.min(0), xy.max(0)])
    largest = max(box[2:] - box[:2])
    if in_frame < 0.4 or not MIN_HORSE_PX <= largest <= MAX_HORSE_PX:
        return False
    boxes = [np.concatenate(_extent(camera, horse)) for horse in horses]
    return all(_overlap(box, one) < 0.45 for one in boxes)


def _overlap(first: Array, second: Array) -> float:
    """Shared area over the smaller area of two boxes (left, top, right, bottom)."""
    shared = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    smaller = min(np.prod(first[2:] - first[:2]), np.prod(second[2:] - second[:2]))
    return float(np.prod(np.maximum(shared, 0)) / max(smaller, 1e-6))


def _props(
    rng: np.random.Generator, horses: list[Horse], camera: Camera, backdrop: Backdrop
) -> list[Mesh]:
    """Fences and shrubs before and behind; nothing grows through a horse."""
    props: list[Mesh] = []
    distance = float(np.linalg.norm(camera.position[:2]))
    chance = rng.random(4)
    if chance[0] < 0.12 and distance > 4.5:
        props += _fence_at(rng, horses, -float(rng.uniform(1.7, min(3.0, 0.5 * distance))))
    elif chance[0] < 0.40:
        props += _fence_at(rng, horses, float(rng.uniform(2.0, 9.0)))
    if chance[1] < 0.14 and distance > 4.5:
        near = -float(rng.uniform(1.3, min(2.4, 0.45 * distance)))
        place = np.array([near, rng.uniform(-1.2, 1.2)])
        props += _shrub_at(rng, horses, place, float(rng.uniform(0.35, 0.75)))
    for _ in range(int(3 * chance[2])):
        place = np.array([rng.uniform(1.5, 12.0), rng.uniform(-8.0, 8.0)])
        props += _shrub_at(rng, horses, place, float(rng.uniform(0.4, 1.6)))
    if "grass" in backdrop.ground and chance[3] < 0.6:
        props.append(tufts(rng, np.zeros(2), 2.0, int(rng.integers(60, 500))))
    return props


def _fence_at(rng: np.random.Generator, horses: list[Horse], depth_m: float) -> list[Mesh]:
    angle = np.pi / 2 + rng.normal(0, 0.10)
    direction = np.array([np.cos(angle), np.sin(angle)])
    length = 16.0 if depth_m < 0 else 30.0
    start = np.array([depth_m, 0.0]) - (length / 2 + rng.uniform(0, 2.0)) * direction
    normal = np.array([-direction[1], direction[0]])
    gaps = [np.abs((_footprint(horse) - start) @ normal).min() for horse in horses]
    sides = [np.sign((_footprint(horse) - start) @ normal) for horse in horses]
    crossed = any(np.ptp(side) > 0 for side in sides)
    if crossed or min(gaps) < 0.5:
        return []
    return [fence(rng, start, direction, length)]


def _shrub_at(
    rng: np.random.Generator, horses: list[Horse], place: Array, height_m: float
) -> list[Mesh]:
    radius = height_m * float(rng.uniform(0.6, 1.0))
    gaps = [np.linalg.norm(_footprint(horse) - place, axis=1).min() for horse in horses]
    if min(gaps) < radius + 0.45:
        return []
    return [shrub(rng, place, radius, height_m)]


def _footprint(horse: Horse) -> Array:
    """Points on the ground below tail, trunk and head, (N, 2)."""
    along = np.array([-1.1, -0.5, 0.0, 0.5, 1.1, 1.6])[:, None]
    return np.asarray(horse.position) + along * horse.build.size * horse.forward[:2]
