"""Labels against the image: what is seen, what hides it, and which pixels are whose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from equikpt.metainfo.horse26 import KEYPOINTS
from projects.sample_horses.anatomy import Build, Pose
from projects.sample_horses.camera import Camera
from projects.sample_horses.coat import COATS, Coat
from projects.sample_horses.ground import Backdrop, Light
from projects.sample_horses.horse import Horse, random_horse
from projects.sample_horses.mesh import Mesh
from projects.sample_horses.render import SUPERSAMPLING, Layers, render, visibility
from projects.sample_horses.scene import MIN_HORSE_PX, Scene, _apart, _fits, random_scene

NAMES = [point.name for point in KEYPOINTS]
SIDE = np.array([1.0 if n[0] == "l" else -1.0 if n[0] == "r" else 0.0 for n in NAMES])
LIGHT = Light(np.array([0.0, 0.6, 0.8]), np.ones(3), np.ones(3), 0.3 * np.ones(3))
BACKDROP = Backdrop("grass", (0.8, 0.5, 0.3), (0.8, 0.8, 0.8), 0.5, 0.1, 0.1, 7)
WIDTH, HEIGHT = 200, 150


def scene_of(*horses, props=(), distance=6.0, bearing_deg=90.0, focal_px=260.0, height=1.3):
    """A camera on the left of a horse that heads along x (bearing 90)."""
    bearing = np.deg2rad(bearing_deg)
    position = np.array([distance * np.cos(bearing), distance * np.sin(bearing), height])
    camera = Camera.look_at(position, np.array([0.2, 0, 1.1]), focal_px, (WIDTH / 2, HEIGHT / 2))
    return Scene(camera, list(horses), list(props), LIGHT, BACKDROP)


def wall(x_range, y, z_range):
    """An upright two-sided board across the view."""
    (x0, x1), (z0, z1) = x_range, z_range
    vertices = np.array([[x0, y, z0], [x1, y, z0], [x1, y, z1], [x0, y, z1]], float)
    return Mesh(
        vertices, np.tile([0.0, 1, 0], (4, 1)), np.full((4, 3), 0.5),
        np.array([[0, 1, 2], [0, 2, 3]]), np.ones(2, bool), np.zeros(2, np.int32),
    )  # fmt: skip


def flags(label):
    return dict(zip(NAMES, label.keypoints[:, 2].astype(int), strict=True))


STANDING = Horse(Build(), Pose(), Coat())


@pytest.mark.parametrize(("bearing", "near"), [(90, "l"), (-90, "r")], ids=["left", "right"])
def test_near_side_is_seen_and_far_eye_is_not(bearing, near):
    far = {"l": "r", "r": "l"}[near]
    seen = flags(render(scene_of(STANDING, bearing_deg=bearing), WIDTH, HEIGHT).labels[0])
    for name in ("eye", "elbow", "knee", "hip", "hock"):
        assert seen[f"{near}_{name}"] == 2, name
    for name in ("eye", "elbow", "hip"):
        assert seen[f"{far}_{name}"] == 1, name
    for name in ("nose", "neck", "withers", "back", "tail_base"):
        assert seen[name] == 2, name


def test_a_board_in_front_hides_and_one_behind_does_not():
    open_view = flags(render(scene_of(STANDING), WIDTH, HEIGHT).labels[0])
    board = ((-2.0, 2.0), (0.0, 0.75))
    front = flags(
        render(scene_of(STANDING, props=[wall(board[0], 1.5, board[1])]), WIDTH, HEIGHT).labels[0]
    )
    behind = flags(
        render(scene_of(STANDING, props=[wall(board[0], -1.5, board[1])]), WIDTH, HEIGHT).labels[0]
    )
    assert behind == open_view
    for name in ("l_knee", "lf_hoof", "rf_hoof", "l_hock", "lh_fetlock"):
        assert front[name] == 1, name
    for name in ("withers", "nose", "l_eye", "back"):
        assert front[name] == 2, name
    assert open_view["l_knee"] == open_view["lf_hoof"] == 2


@pytest.mark.parametrize(
    ("owner", "surface_m", "expected"),
    [(1, 4.95, 2), (1, 4.5, 1), (2, 4.95, 1), (0, np.inf, 1)],
    ids=["own skin", "own other leg", "another horse that touches", "nothing drawn"],
)
def test_visibility_asks_whose_surface_and_how_deep(owner, surface_m, expected):
    layers = Layers(np.full((20, 20), owner), np.full((20, 20), surface_m))
    xy = np.array([[5.0, 5.0], [10.5, 5.0], [5.0, -0.1]])
    flag = visibility(xy, np.full(3, 5.0), np.full(3, 0.1), 1, layers)
    np.testing.assert_array_equal(flag, [expected, 0, 0])


def test_another_horse_hides_too():
    near = replace(STANDING, position=(0.0, 1.6))
    rendering = render(scene_of(STANDING, near, distance=8.0, height=1.2), WIDTH, HEIGHT)
    far_flags, near_flags = flags(rendering.labels[0]), flags(rendering.labels[1])
    assert far_flags["l_elbow"] == far_flags["l_hip"] == far_flags["back"] == 1
    assert near_flags["l_elbow"] == near_flags["l_hip"] == near_flags["back"] == 2


def test_points_out_of_the_frame_are_zero():
    scene = scene_of(STANDING, focal_px=600.0)
    label = render(scene, WIDTH, HEIGHT).labels[0]
    xy, _ = scene.camera.project(STANDING.keypoints_world())
    outside = ~((xy >= 0) & (xy < [WIDTH, HEIGHT])).all(axis=1)
    assert 4 < outside.sum() < 26
    np.testing.assert_array_equal(label.keypoints[outside], 0)
    assert (label.keypoints[~outside, 2] > 0).all()
    np.testing.assert_allclose(label.keypoints[~outside, :2], xy[~outside])


def test_no_label_for_a_horse_that_is_not_seen():
    aside = replace(STANDING, position=(30.0, 0.0))
    assert render(scene_of(STANDING, aside), WIDTH, HEIGHT).labels[1] is None


@pytest.mark.parametrize("seed", range(12))
def test_keypoints_lie_within_the_drawn_body(seed):
    """Alone in an empty scene, every keypoint of the frame falls on a pixel of its horse."""
    rng = np.random.default_rng(seed)
    horse = random_horse(rng, (0.0, 0.0), float(rng.uniform(0, 2 * np.pi)))
    scene = scene_of(horse, bearing_deg=0.0, height=float(rng.uniform(0.7, 3.5)))
    rendering = render(scene, WIDTH, HEIGHT)
    for name, (x, y, flag) in zip(NAMES, rendering.labels[0].keypoints, strict=True):
        if flag:
            row, column = int(y * SUPERSAMPLING), int(x * SUPERSAMPLING)
            near = rendering.layers.instance[
                max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2
            ]
            assert (near == 1).any(), name


@pytest.mark.parametrize("seed", range(12))
def test_labels_agree_with_the_drawn_masks(seed):
    scene = random_scene(np.random.default_rng([5, seed]), 320, 240)
    rendering = render(scene, 320, 240)
    assert rendering.image.shape == (240, 320, 3)
    assert rendering.image.dtype == np.uint8
    for index, label in enumerate(rendering.labels):
        if label is None:
            continue
        mask = rendering.layers.instance == index + 1
        left, top, width, height = label.bbox_xywh
        assert label.area_px == mask.sum() / SUPERSAMPLING**2 > 0
        assert label.area_px <= width * height
        assert 0 <= left < left + width <= 320
        assert 0 <= top < top + height <= 240
        for x, y, flag in label.keypoints:
            if flag == 2:
                assert mask[int(y * SUPERSAMPLING), int(x * SUPERSAMPLING)]
                assert left <= x <= left + width
                assert top <= y <= top + height
            if flag == 0:
                assert x == y == 0


def test_a_mirrored_scene_has_swapped_labels():
    """Seen from the right, a horse is the mirror image of itself seen from the left."""
    legs = Pose().legs
    legs["lf"] = replace(legs["lf"], reach=0.2)
    mirrored = dict(legs, lf=legs["rf"], rf=legs["lf"])
    bald = Coat(mane_length=0.0)
    left = render(scene_of(Horse(Build(), Pose(legs=legs), bald)), WIDTH, HEIGHT).labels[0]
    right = render(
        scene_of(Horse(Build(), Pose(legs=mirrored), bald), bearing_deg=-90), WIDTH, HEIGHT
    ).labels[0]
    swap = [NAMES.index(point.swap or point.name) for point in KEYPOINTS]
    seen = left.keypoints[:, 2] > 0
    flipped = right.keypoints[swap]
    np.testing.assert_allclose(WIDTH - flipped[seen, 0], left.keypoints[seen, 0], atol=1e-6)
    np.testing.assert_allclose(flipped[seen, 1], left.keypoints[seen, 1], atol=1e-6)
    assert (flipped[:, 2] == left.keypoints[:, 2]).mean() > 0.9


@pytest.mark.parametrize(
    ("position", "heading", "expected"),
    [((0.3, 1.0), 0.0, False), ((0.3, 1.5), 0.0, True), ((2.0, 0.0), 0.0, False),
     ((0.0, 1.8), np.pi / 2, False), ((0.0, 3.5), np.pi / 2, True)],
    ids=["flank to flank", "side by side", "nose in tail", "tail in flank", "well ahead"],
)  # fmt: skip
def test_horses_keep_apart(position, heading, expected):
    other = replace(STANDING, position=position, heading_rad=heading)
    assert _apart(other, STANDING) == _apart(STANDING, other) == expected


@pytest.mark.parametrize(
    ("position", "others", "expected"),
    [((3.2, -1.0), [STANDING], True), ((18.0, -60.0), [], False), ((6.5, 0.0), [], False),
     ((0.0, 14.0), [], False), ((0.0, -1.5), [STANDING], False), ((0.0, -1.5), [], True)],
    ids=["good", "tiny", "out of the frame", "behind the camera", "behind the other", "alone"],
)  # fmt: skip
def test_companions_fit(position, others, expected):
    camera = scene_of(STANDING, distance=8.0).camera
    other = replace(STANDING, position=position)
    assert _fits(other, others, camera, (WIDTH, HEIGHT)) == expected


def test_no_scene_has_a_tiny_or_a_merged_horse():
    rng = np.random.default_rng(11)
    counts, long_enough = [], 0
    for _ in range(60):
        scene = random_scene(rng, 320, 240)
        counts.append(len(scene.horses))
        for horse in scene.horses:
            xy, _ = scene.camera.project(horse.keypoints_world())
            assert np.ptp(xy, axis=0).max() >= MIN_HORSE_PX
        first, _ = scene.camera.project(scene.horses[0].keypoints_world())
        long_enough += np.ptp(first, axis=0).max() >= 90
        places = np.array([horse.position for horse in scene.horses])
        gaps = np.linalg.norm(places[:, None] - places[None], axis=2)
        assert gaps[~np.eye(len(places), dtype=bool)].min(initial=9.0) > 1.0
    assert set(counts) == {1, 2, 3}
    assert long_enough / 60 >= 0.6


@pytest.mark.parametrize("kind", COATS)
def test_coats_differ_where_they_are_seen(kind):
    """The drawn trunk is brighter for a brighter coat: colours reach the image."""
    horse = Horse(Build(), Pose(), Coat(kind=kind, seed=3))
    rendering = render(scene_of(horse), WIDTH, HEIGHT)
    black = render(scene_of(replace(horse, coat=Coat(kind="black", seed=3))), WIDTH, HEIGHT)
    body = rendering.layers.instance[::SUPERSAMPLING, ::SUPERSAMPLING] == 1
    brightness, reference = (p.image[body].mean() for p in (rendering, black))
    if kind == "black":
        assert brightness == reference
    else:
        assert brightness > reference + 3
