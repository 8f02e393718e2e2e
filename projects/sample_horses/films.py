"""Films of moving trials, and images of moving horses from the side for a model to train on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from equikpt_runtime.clips import ClipWriter
from projects.sample_horses.camera import Camera
from projects.sample_horses.gait import GAITS, moving_pose
from projects.sample_horses.ground import random_backdrop, random_light
from projects.sample_horses.horse import random_horse
from projects.sample_horses.render import Rendering, render
from projects.sample_horses.scene import Scene
from projects.sample_horses.trials import CAMERA_HEIGHT_M, DISTANCE_M, LENGTH_M, MovingTrial

Array = np.ndarray

SIDE_DEG = 15.0
"""Greatest angle of a training image's view with one square to the horse."""


def frames(trial: MovingTrial, seed: int) -> Iterator[Rendering]:
    """Draw a trial frame by frame, before a place and in a light that the seed draws."""
    rng = np.random.default_rng(seed)
    light, overcast = random_light(rng)
    backdrop = random_backdrop(rng, overcast)
    for number, (horse, camera) in enumerate(zip(trial.horses, trial.cameras, strict=True)):
        scene = Scene(camera, [horse], [], light, backdrop)
        yield render(scene, *trial.motion.size_px, grain_seed=number)


def write_film(
    path: Path,
    trial: MovingTrial,
    seed: int,
    progress: Callable[[Iterator[Rendering]], Iterator[Rendering]] = lambda each: each,
) -> None:
    """Write a trial as a video of constant rate; one that exists is replaced."""
    with ClipWriter(path, trial.motion.fps, trial.motion.size_px, overwrite=True) as writer:
        for number, drawn in enumerate(progress(frames(trial, seed))):
            writer.write(drawn.image, number / trial.motion.fps)


def side_view(rng: np.random.Generator, width: int, height: int) -> Scene:
    """Draw a scene of one moving horse of random build, coat, gait and carriage from the side."""
    gait, mirrored = str(rng.choice(list(GAITS))), bool(rng.random() < 0.5)
    pose = moving_pose(gait, float(rng.random()), rng, mirrored)
    horse = replace(random_horse(rng, (0.0, 0.0), 0.0), pose=pose)
    angle = np.deg2rad(rng.uniform(-SIDE_DEG, SIDE_DEG)) + np.pi * (rng.random() < 0.5)
    position = DISTANCE_M * np.array([np.sin(angle), np.cos(angle), 0.0])
    position[2] = CAMERA_HEIGHT_M + rng.uniform(-0.4, 0.6)
    focal_px = float(rng.uniform(0.5, 0.72)) * width / LENGTH_M * DISTANCE_M
    centre = (width * float(rng.uniform(0.42, 0.58)), height * float(rng.uniform(0.4, 0.5)))
    target = np.array([0.1, 0.0, CAMERA_HEIGHT_M])
    camera = Camera.look_at(position, target, focal_px, centre, float(rng.normal(0, 0.02)))
    light, overcast = random_light(rng)
    return Scene(camera, [horse], [], light, random_backdrop(rng, overcast))
