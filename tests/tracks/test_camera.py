"""Motion of cameras that look at a known background."""

import cv2
import numpy as np
import pytest

from equikpt.tracks.camera import CameraMotion, fitted

SIZE = (320, 240)


@pytest.fixture(scope="module")
def scene():
    """A background of blots, far larger than a frame."""
    noise = np.random.default_rng(0).integers(0, 255, (60, 120, 3)).astype(np.uint8)
    return cv2.resize(noise, (1440, 720), interpolation=cv2.INTER_CUBIC)


def view(scene, matrix, generator=None, sigma=3.0):
    """The frame whose px are led to the scene's by a homography (3, 3)."""
    size, flags = SIZE, cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    image = cv2.warpPerspective(scene, matrix, size, flags=flags).astype(float)
    if generator is not None:
        image += generator.normal(0, sigma, image.shape)
    return image.clip(0, 255).astype(np.uint8)


def shifted(x, y, angle=0.0, scale=1.0):
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cosine, -sine, x], [sine, cosine, y], [0, 0, 1.0]])


def measured(frames, boxes=None):
    camera = CameraMotion(SIZE)
    for number, frame in enumerate(frames):
        camera.add(frame, () if boxes is None else [boxes[number]])
    return camera


def error_px(camera, matrices):
    """Greatest error of the image's corners and middle in the first frame."""
    points = np.array([[0, 0, 1], [320, 0, 1], [0, 240, 1], [320, 240, 1], [160, 120, 1.0]])
    first, worst = np.linalg.inv(matrices[0]), 0.0
    for found, matrix in zip(camera.to_still(), matrices, strict=True):
        one, other = points @ found.T, points @ (first @ matrix).T
        off = one[:, :2] / one[:, 2:] - other[:, :2] / other[:, 2:]
        worst = max(worst, float(np.abs(off).max()))
    return worst


def test_a_still_camera_with_noise_is_still(scene):
    generator = np.random.default_rng(0)
    camera = measured([view(scene, shifted(100, 100), generator, 6.0) for _ in range(60)])
    assert not camera.moves()
    assert camera.way_px() < 0.1
    assert not len(camera.unknown)


def test_a_pan_is_followed_over_key_frames(scene):
    generator = np.random.default_rng(0)
    sway = [0.02 * np.sin(t / 7) for t in range(60)]
    matrices = [shifted(50 + 12 * t, 150 + 300 * each, each) for t, each in enumerate(sway)]
    camera = measured([view(scene, each, generator) for each in matrices])
    assert camera.moves()
    assert camera.breaks == []
    assert error_px(camera, matrices) < 2  # of 700 px that it went


def test_a_zoom_and_a_tilt_are_followed(scene):
    matrices = []
    for t in range(40):
        matrix = shifted(400, 200, scale=1 + t / 200)
        matrix[2, :2] = t * 1e-5
        matrices.append(matrix)
    camera = measured([view(scene, each) for each in matrices])
    assert error_px(camera, matrices) < 3
    plain = [shifted(400, 200)] * 40
    assert error_px(camera, plain) > 20  # the control


def test_animals_are_no_background(scene):
    """A textured animal fills most of the image and goes to the right; the camera stands."""
    animal = scene[300:500, 600:860]
    frames, boxes = [], []
    for t in range(35):
        frame = view(scene, shifted(100, 100))
        frame[20:220, t + 10 : t + 270] = animal
        frames.append(frame)
        boxes.append(np.array([[t + 20, 30], [t + 260, 30], [t + 260, 210], [t + 20, 210]]))
    assert not measured(frames, boxes).moves()
    assert measured(frames).moves()  # the control: without the boxes it is believed


def test_frames_that_show_nothing_are_bridged(scene):
    matrices = [shifted(50 + 3 * t, 150) for t in range(40)]
    frames = [view(scene, each) for each in matrices]
    for t in (20, 21, 22):
        frames[t] = np.zeros_like(frames[t])
    camera = measured(frames)
    assert camera.unknown.tolist() == [20, 21, 22]
    assert camera.breaks == []
    assert error_px(camera, matrices) < 1


def test_a_cut_is_a_break(scene):
    flipped = cv2.flip(scene, -1)
    frames = [view(scene, shifted(50 + 3 * t, 150)) for t in range(10)]
    frames += [view(flipped, shifted(50 + 3 * t, 150)) for t in range(30)]
    camera = measured(frames)
    assert len(camera.breaks) == 1
    assert camera.is_known


def test_a_blank_wall_says_nothing():
    camera = measured([np.full((240, 320, 3), 90, np.uint8)] * 20)
    assert not camera.is_known
    assert not camera.moves()


def test_too_few_or_contradicting_corners_fit_nothing():
    generator = np.random.default_rng(0)
    points = generator.uniform(0, 300, (60, 2))
    assert fitted(points[:5], points[:5], 1.0)[0] is None
    assert fitted(points, generator.uniform(0, 300, (60, 2)), 1.0)[0] is None
    moved, agreeing = fitted(points, points + [3, -2], 1.0)
    assert agreeing == 60
    np.testing.assert_allclose(moved, shifted(3, -2), atol=1e-6)
