import numpy as np
import pytest
from mmpose.datasets.transforms import GetBBoxCenterScale, TopdownAffine

from equikpt.datasets.transforms import RandomOcclusion

GREY = 77
MARK = 255


def sample(seed: int, points: int = 12) -> dict:
    rng = np.random.default_rng(seed)
    keypoints = rng.uniform([-10, -10], [210, 160], (1, points, 2)).astype(np.float32)
    visibility = rng.choice([0, 1, 2], (1, points), p=[0.2, 0.2, 0.6]).astype(np.uint8)
    visibility[0, 0], keypoints[0, 0] = 2, (100, 75)  # one that can be covered
    return dict(
        img=np.full((150, 200, 3), GREY, np.uint8),
        img_shape=(150, 200),
        bbox=np.array([[10, 5, 190, 140]], np.float32),
        keypoints=keypoints,
        keypoints_visible=(visibility > 0).astype(np.float32),
        keypoints_visibility=visibility,
    )


def changed_px(before: dict, after: dict) -> np.ndarray:
    return (before["img"] != after["img"]).any(axis=2)


def box_of(mask: np.ndarray) -> tuple[slice, slice]:
    rows, columns = np.nonzero(mask)
    return slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)


def cover(seed: int, before: dict, **arguments) -> dict:
    np.random.seed(seed)  # noqa: NPY002 - the state that MMEngine seeds
    return RandomOcclusion(prob=1.0, **arguments)(dict(before))


@pytest.mark.parametrize("seed", range(12))
def test_seen_points_under_the_patch_become_hidden_and_nothing_else_changes(seed):
    before = sample(seed)
    after = cover(seed, before, fills=["noise"])
    changed = changed_px(before, after)
    patch = np.zeros_like(changed)  # noise may hit the grey of the image: the box around it
    patch[box_of(changed)] = True
    x, y = np.floor(before["keypoints"][0] + 0.5).astype(int).T
    in_image = (x >= 0) & (x < 200) & (y >= 0) & (y < 150)
    covered = np.zeros(12, bool)
    covered[in_image] = patch[y[in_image], x[in_image]]
    old = before["keypoints_visibility"][0]
    expected = np.where(covered & (old == 2), 1, old)
    assert np.array_equal(after["keypoints_visibility"][0], expected)
    assert (expected != old).any()
    assert np.array_equal(after["keypoints_visible"], before["keypoints_visible"])
    assert np.array_equal(after["keypoints"], before["keypoints"])
    assert (before["img"] == GREY).all()  # not written to


@pytest.mark.parametrize("crop", [False, True], ids=["image", "input-crop"])
def test_sides_are_fractions_of_the_box(crop):
    """Of the square root of its area, in px of whichever image is there."""
    before = sample(3)
    factor = 1.0
    if crop:
        before = TopdownAffine(input_size=(400, 300))(GetBBoxCenterScale(padding=1.25)(before))
        factor = 400 / before["bbox_scale"][0, 0]
        before["img"][:] = GREY
    side_px = factor * np.sqrt(180 * 135)
    lengths = []
    for seed in range(60):
        after = cover(seed, before, size_range=(0.1, 0.2), fills=["noise"])
        lengths += after["img"][box_of(changed_px(before, after))].shape[:2]
    assert max(lengths) <= 0.2 * side_px + 1
    assert max(lengths) > 0.19 * side_px
    # The border of the image cuts some patches, so the lower bound holds for most
    assert np.mean(np.array(lengths) >= 0.1 * side_px - 1) > 0.8


def test_points_of_a_crop_are_the_transformed_ones():
    before = TopdownAffine(input_size=(400, 300))(GetBBoxCenterScale()(sample(5)))
    before["img"][:] = GREY
    after = cover(5, before, fills=["noise"])
    patch = changed_px(before, after)
    newly = (before["keypoints_visibility"] == 2) & (after["keypoints_visibility"] == 1)
    assert newly.any()
    for x, y in np.floor(before["transformed_keypoints"][newly] + 0.5).astype(int):
        assert patch[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].any()


@pytest.mark.parametrize(
    ("fill", "check"),
    [
        ("grey", lambda patch, image: len(np.unique(patch)) == 1),
        ("noise", lambda patch, image: len(np.unique(patch)) > 100),
        ("texture", lambda patch, image: is_part_of(patch, image)),
    ],
)
def test_what_patches_are_made_of(fill, check):
    before = sample(0, points=1)
    before["img"] = np.random.default_rng(0).integers(100, 150, (150, 200, 3)).astype(np.uint8)
    after = cover(2, before, fills=[fill])
    assert check(after["img"][box_of(changed_px(before, after))], before["img"])


def is_part_of(patch: np.ndarray, image: np.ndarray) -> bool:
    h, w = patch.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(image[..., 0], (h, w))
    return bool((windows == patch[..., 0]).all(axis=(2, 3)).any())


def test_a_texture_brings_no_second_keypoint():
    """The pixel of every labelled point is marked; a texture must not show a mark."""
    textures = 0
    for seed in range(40):
        before = sample(seed)
        before["img"] = np.random.default_rng(seed).integers(90, 99, (150, 200, 3)).astype(np.uint8)
        points = before["keypoints"][before["keypoints_visible"] > 0]
        for x, y in np.floor(points + 0.5).astype(int):
            if 0 <= x < 200 and 0 <= y < 150:
                before["img"][y, x] = MARK
        after = cover(seed, before, fills=["texture"], size_range=(0.1, 0.3))
        if set(np.unique(after["img"])) <= {*range(90, 99), MARK}:  # or noise, for want of a place
            textures += 1
            assert (before["img"][after["img"] == MARK] == MARK).all()
    assert textures > 20


def test_without_a_place_free_of_points_noise_is_taken():
    before = sample(0, points=1)
    grid = np.stack(np.meshgrid(np.arange(200), np.arange(150)), axis=-1)
    before["keypoints"] = grid.reshape(1, -1, 2).astype(np.float32)
    before["keypoints_visible"] = np.ones((1, 30000), np.float32)
    before["keypoints_visibility"] = np.full((1, 30000), 2, np.uint8)
    after = cover(0, before, fills=["texture"])
    assert len(np.unique(after["img"])) > 100
    covered = after["keypoints_visibility"].reshape(150, 200) == 1
    assert (changed_px(before, after) <= covered).all()
    assert changed_px(before, after)[covered].mean() > 0.99


@pytest.mark.parametrize(
    "change",
    [
        dict(keypoints=None),
        dict(keypoints_visibility=np.ones((1, 12), np.uint8)),
        dict(keypoints=np.full((1, 12, 2), -1000.0)),
    ],
    ids=["no labels", "none visible", "none inside"],
)
def test_samples_with_nothing_to_cover_stay(change):
    before = sample(0) | change
    after = cover(0, before)
    assert all(np.array_equal(after[key], before[key]) for key in before)


def test_it_works_without_box_and_without_visibility():
    before = {k: v for k, v in sample(0).items() if k not in ("bbox", "keypoints_visibility")}
    after = cover(0, before, fills=["noise"])
    assert changed_px(before, after).any()
    assert "keypoints_visibility" not in after


def test_how_often_and_the_seed_decides():
    def run(seed: int) -> list[np.ndarray]:
        np.random.seed(seed)  # noqa: NPY002 - the state that MMEngine seeds
        transform = RandomOcclusion(prob=0.2, fills=["noise"])
        return [transform(sample(0))["img"] for _ in range(300)]

    first, again, other = run(0), run(0), run(1)
    assert all(map(np.array_equal, first, again))
    assert not all(map(np.array_equal, first, other))
    assert 0.14 < np.mean([(image != GREY).any() for image in first]) < 0.27


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("prob", value) for value in (-0.1, 2)],
        *[("size_range", value) for value in ((0, 0.2), (0.4, 0.2), (0.4, 1.2))],
        *[("fills", value) for value in ([], ["gray"])],
    ],
)
def test_arguments_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"RandomOcclusion with {name}"):
        RandomOcclusion(**{name: value})
