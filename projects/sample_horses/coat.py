"""Coat colours, patches and white markings, as a colour per vertex of the horse at rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from projects.sample_horses.anatomy import Pose, Skeleton, pose_skeleton
from projects.sample_horses.body import Part, horse_parts
from projects.sample_horses.limbs import LEGS

Array = np.ndarray
Color = tuple[float, float, float]

HOOF_DARK = "292421"
HOOF_PALE = "948573"
WHITE = "e0ded6"
DARK = "0d0d0e"


@dataclass(frozen=True)
class CoatKind:
    """One row a coat; colours are RGB in hexadecimal.

    Attributes:
        body: trunk, neck and head.
        points: lower legs.
        hair: mane, tail and forelock.
        muzzle: the skin of the muzzle.
        dapple: strength of pale rings.
        patches: fraction of the trunk that white patches cover.
    """

    body: str
    points: str
    hair: str
    muzzle: str
    dapple: float = 0.0
    patches: float = 0.0


COATS: dict[str, CoatKind] = {
    "bay": CoatKind("61301a", "0f0d0d", "0d0a0a", "1c1412"),
    "dark bay": CoatKind("2b170f", "0b0a0a", "090808", "0d0d0e"),
    "chestnut": CoatKind("7a3d1c", "70381c", "66331a", "613821"),
    "flaxen": CoatKind("5e2e17", "542b17", "b2946b", "52301f"),
    "grey": CoatKind("94918f", "4f4c4c", "7a7875", "403d3d", dapple=0.35),
    "white grey": CoatKind("c9c7c2", "adaba8", "c4bfb8", "6e6666"),
    "black": CoatKind("100f11", "0c0c0d", "080809", "0d0d0e"),
    "palomino": CoatKind("b88547", "b88f57", "d9ccb2", "755c42"),
    "dun": CoatKind("8c6b45", "1f1a17", "120f0f", "2b241f"),
    "bay pinto": CoatKind("5c301a", "d1cfc7", "0f0d0d", "2e241f", patches=0.45),
    "black pinto": CoatKind("0e0e0f", "d4d1cc", "1a1a1a", "0d0d0e", patches=0.45),
    "chestnut pinto": CoatKind("733b1c", "d4d1cc", "ad9e8c", "ad8a85", patches=0.4),
}
"""Everyday coats; the hues were set by eye."""

COAT_WEIGHTS = (0.18, 0.10, 0.16, 0.06, 0.10, 0.06, 0.09, 0.07, 0.05, 0.05, 0.04, 0.04)
FACES = ("none", "star", "stripe", "blaze", "bald")
FACE_WEIGHTS = (0.34, 0.24, 0.16, 0.20, 0.06)


@dataclass(frozen=True)
class Coat:
    """Colours and markings of one horse.

    Attributes:
        kind: row of :data:`COATS`.
        tint: BGR factors around 1.
        face: one of :data:`FACES`.
        socks: height of the white on each leg, m; 0 for none.
        seed: of dapples, patches and locks of hair.
        mane_length: m.
        mane_side: 1 left, -1 right.
    """

    kind: str = "bay"
    tint: Color = (1.0, 1.0, 1.0)
    face: str = "none"
    socks: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    seed: int = 0
    mane_length: float = 0.22
    mane_side: int = 1


def random_coat(rng: np.random.Generator) -> Coat:
    """A coat by its weight, with markings."""
    kind = str(rng.choice(list(COATS), p=np.asarray(COAT_WEIGHTS)))
    brightness = float(np.exp(rng.normal(0, 0.13)))
    tint = brightness * np.exp(rng.normal(0, 0.05, 3))
    socks = np.where(rng.random(4) < 0.38, rng.choice([0.14, 0.24, 0.36, 0.46], 4), 0.0)
    return Coat(
        kind=kind,
        tint=(float(tint[0]), float(tint[1]), float(tint[2])),
        face=str(rng.choice(FACES, p=FACE_WEIGHTS)),
        socks=(float(socks[0]), float(socks[1]), float(socks[2]), float(socks[3])),
        seed=int(rng.integers(2**31)),
        mane_length=float(rng.uniform(0.10, 0.34)),
        mane_side=1 if rng.random() < 0.5 else -1,
    )


def mane_locks(coat: Coat, count: int = 72) -> Array:
    """(count,) lengths of the locks, m: ragged, and short at both ends."""
    rng = np.random.default_rng(coat.seed)
    ragged = np.repeat(rng.uniform(0.7, 1.15, count // 4), 4) * rng.uniform(0.92, 1.08, count)
    ends = np.clip(np.linspace(0.0, 1.0, count) * 6 + 0.25, 0, 1)
    return coat.mane_length * ragged * ends


def paint(skeleton: Skeleton, coat: Coat) -> list[Array]:
    """Colours (V, 3) for each of :func:`horse_parts`, in their order."""
    rest = pose_skeleton(skeleton.build, Pose())
    rng = np.random.default_rng(coat.seed)
    pattern, fine = Waves(rng, 2.1), Waves(rng, 7.5)
    parts = horse_parts(rest, mane_locks(coat), coat.mane_side)
    return [_paint_part(part, rest, coat, pattern, fine, rng) for part in parts]


def _paint_part(
    part: Part, rest: Skeleton, coat: Coat, pattern: Waves, fine: Waves, rng: np.random.Generator
) -> Array:
    kind = COATS[coat.kind]
    points = part.surface.grid.reshape(-1, 3)
    tint = np.asarray(coat.tint)
    if part.name.endswith(("eye", "nostril")):
        return np.tile(0.5 * _bgr(DARK), (len(points), 1))
    if part.name in ("tail", "mane", "forelock"):
        return _hair(part, kind, tint, rng)
    if part.name.endswith("hoof"):
        sock = coat.socks[LEGS.index(part.name[:2])]
        return np.tile(_bgr(HOOF_PALE if sock else HOOF_DARK), (len(points), 1))
    color = np.tile(_bgr(kind.body) * tint, (len(points), 1))
    if part.name == "head":
        return _face(color, points, rest, coat, kind)
    if part.name.endswith("ear"):
        return color * 0.8
    # Paler belly, darker back: what sun and sweat do to most coats.
    color *= (1.0 + 0.10 * np.clip((1.15 - points[:, 2]) / 0.4, -1, 1))[:, None]
    if part.name.endswith("leg"):
        mix = np.clip((0.62 - points[:, 2]) / 0.16, 0, 1)[:, None]
        color = (1 - mix) * color + mix * _bgr(kind.points) * np.sqrt(tint)
    if kind.dapple:
        color *= (1 + kind.dapple * np.clip(fine(points), -0.8, 0.8))[:, None]
    if kind.patches:
        mix = _edge(pattern(points) - np.quantile(_REFERENCE, 1 - kind.patches), 0.16)
        color = (1 - mix) * color + mix * _bgr(WHITE)
    if part.name.endswith("leg"):
        sock = coat.socks[LEGS.index(part.name[:2])]
        mix = _edge(sock + 0.025 * fine(points) - points[:, 2], 0.03) * (sock > 0)
        color = (1 - mix) * color + mix * _bgr(WHITE)
    return color * (1 + 0.05 * fine(points))[:, None]


def _hair(part: Part, kind: CoatKind, tint: Array, rng: np.random.Generator) -> Array:
    """Strands: a shade for each line of vertices along the lock."""
    rings, points = part.surface.grid.shape[:2]
    shade = rng.uniform(0.86, 1.12, (rings, points))
    strands = shade[:, :1] if part.name == "mane" else shade[:1]
    lines = np.broadcast_to(strands, (rings, points)) * rng.uniform(0.94, 1.06, (rings, points))
    return lines.reshape(-1, 1) * _bgr(kind.hair) * np.sqrt(tint)


def _face(color: Array, points: Array, rest: Skeleton, coat: Coat, kind: CoatKind) -> Array:
    local = (points - rest.poll) @ rest.head.T / rest.build.head_size
    along, dorsal, lateral = local[:, 0] / 0.60, local[:, 1], np.abs(local[:, 2])
    mix = np.clip((along - 0.72) / 0.2, 0, 1)[:, None]
    color = (1 - 0.75 * mix) * color + 0.75 * mix * _bgr(kind.muzzle)
    front = dorsal > 0.02
    if coat.face == "star":
        white = 0.030 - np.hypot((along - 0.27) * 0.5, lateral)
    elif coat.face == "stripe":
        white = np.minimum(0.016 - lateral, 0.3 * np.minimum(along - 0.2, 0.85 - along))
    elif coat.face == "blaze":
        white = np.minimum(0.036 - lateral, 0.3 * (along - 0.16))
    elif coat.face == "bald":
        white = np.minimum(0.062 - lateral, 0.3 * (along - 0.12))
    else:
        return color
    white_mix = _edge(white, 0.012) * front[:, None]
    return (1 - white_mix) * color + white_mix * _bgr(WHITE)


def _bgr(color: str) -> Array:
    """BGR in 0..1 of an RGB colour in hexadecimal."""
    return np.frombuffer(bytes.fromhex(color), np.uint8)[::-1] / 255


def _edge(signed: Array, width: float) -> Array:
    """0 to 1 across a border ``width`` wide, (V, 1)."""
    return np.clip(signed / width + 0.5, 0, 1)[:, None]


class Waves:
    """A smooth random field in space: a sum of plane waves, mean 0 and deviation about 1."""

    def __init__(self, rng: np.random.Generator, per_metre: float, count: int = 14) -> None:
        direction = rng.normal(size=(count, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        frequency = per_metre * 2 * np.pi * rng.uniform(0.35, 0.75, (count, 1))
        self._vectors = direction * frequency
        self._phases = rng.uniform(0, 2 * np.pi, count)

    def __call__(self, points: Array) -> Array:
        """Values (V,) at points (V, 3)."""
        waves = np.cos(points @ self._vectors.T + self._phases)
        return waves.sum(1) * np.sqrt(2 / len(self._phases))


_REFERENCE = np.random.default_rng(0).normal(size=4001)
"""Draws of a standard normal: what share of a field lies above a level."""
