"""One horse of a scene: build, pose and coat, put somewhere on the ground."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from equikpt.metainfo.horse26 import KEYPOINTS
from projects.sample_horses.anatomy import (
    Build,
    Pose,
    Skeleton,
    keep_muzzle_above_ground,
    keypoints,
    pose_skeleton,
)
from projects.sample_horses.body import horse_parts
from projects.sample_horses.coat import Coat, mane_locks, paint, random_coat
from projects.sample_horses.gait import random_pose
from projects.sample_horses.mesh import Mesh

Array = np.ndarray

TOLERANCE_M: dict[str, float] = {
    "nose": 0.11, "eye": 0.06, "ear": 0.06, "neck": 0.22, "withers": 0.18, "back": 0.22,
    "tail_base": 0.24, "tail_end": 0.10, "elbow": 0.16, "knee": 0.08, "fetlock": 0.08,
    "hoof": 0.10, "hip": 0.17, "hock": 0.10,
}  # fmt: skip
"""Distance in front of a keypoint at which its own skin may lie, m at mean size.

Keypoints are joint centres: the half thickness of the part, with an allowance for a slanting view.
Points of the top line lie just under the ridge, where a level view meets the round flank first. The
other leg or the trunk is always farther away than this.
"""


@dataclass(frozen=True)
class Horse:
    """Position and looks of one horse.

    Attributes:
        build: proportions.
        pose: joint angles.
        coat: colours.
        position: (x, y) on the ground, m, of the point below the trunk's middle.
        heading_rad: of the head's end, from the world's x axis towards its y axis.
    """

    build: Build
    pose: Pose
    coat: Coat
    position: tuple[float, float] = (0.0, 0.0)
    heading_rad: float = 0.0

    @cached_property
    def skeleton(self) -> Skeleton:
        """Solved joints in the horse's own frame, at mean size."""
        return pose_skeleton(self.build, self.pose)

    @property
    def forward(self) -> Array:
        """Unit vector (3,) from tail to head on the ground."""
        return np.array([np.cos(self.heading_rad), np.sin(self.heading_rad), 0.0])

    def to_world(self, points: Array) -> Array:
        """Points (N, 3) of the horse's own frame in the world."""
        return self._turn(points) * self.build.size + [*self.position, 0.0]

    def keypoints_world(self) -> Array:
        """(26, 3) in the order of the metainfo."""
        named = keypoints(self.skeleton)
        return self.to_world(np.stack([named[point.name] for point in KEYPOINTS]))

    def tolerances_m(self) -> Array:
        """(26,) how deep under the drawn surface each keypoint may lie and still be seen."""
        return self.build.size * np.array([_tolerance(point.name) for point in KEYPOINTS])

    def mesh(self, instance: int) -> Mesh:
        """Skin and hair in the world, painted."""
        parts = horse_parts(self.skeleton, mane_locks(self.coat), self.coat.mane_side)
        vertices, normals, triangles, two_sided = [], [], [], []
        offset = 0
        for part in parts:
            surface = part.surface
            vertices.append(surface.grid.reshape(-1, 3))
            normals.append(surface.normals().reshape(-1, 3))
            faces = surface.triangles()
            triangles.append(faces + offset)
            two_sided.append(np.full(len(faces), surface.two_sided))
            offset += len(vertices[-1])
        faces = np.concatenate(triangles)
        return Mesh(
            vertices=self.to_world(np.concatenate(vertices)),
            normals=self._turn(np.concatenate(normals)),
            albedo=np.concatenate(paint(self.skeleton, self.coat)),
            triangles=faces,
            two_sided=np.concatenate(two_sided),
            instance=np.full(len(faces), instance, np.int32),
        )

    def _turn(self, vectors: Array) -> Array:
        cosine, sine = np.cos(self.heading_rad), np.sin(self.heading_rad)
        return np.asarray(vectors) @ np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])


def random_horse(
    rng: np.random.Generator, position: tuple[float, float], heading_rad: float
) -> Horse:
    """A horse of random build, pose and coat."""

    def factor(spread: float) -> float:
        return float(np.exp(np.clip(rng.normal(0, spread), -2 * spread, 2 * spread)))

    build = Build(
        size=factor(0.06),
        leg_length=factor(0.025),
        leg_thickness=factor(0.09),
        girth=factor(0.06),
        neck_length=factor(0.03),
        neck_depth=factor(0.08),
        head_size=factor(0.04),
        tail_length=factor(0.10),
    )
    pose = keep_muzzle_above_ground(build, random_pose(rng)[1])
    return Horse(build, pose, random_coat(rng), position, heading_rad)


def _tolerance(name: str) -> float:
    """The row of :data:`TOLERANCE_M`, with or without the side in front of the name."""
    return TOLERANCE_M[name] if name in TOLERANCE_M else TOLERANCE_M[name.split("_", 1)[1]]
