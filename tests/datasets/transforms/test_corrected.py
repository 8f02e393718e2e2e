import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.datasets.transforms import (
    BottomupGetHeatmapMask,
    GetBBoxCenterScale,
    RandomFlip,
    RandomHalfBody,
    TopdownAffine,
)

from equikpt.datasets.transforms import (
    DropOutsideKeypoints,
    MaskUnlabelled,
    RandomFlipKeypoints,
    RandomHalfBodyCrop,
    WholeImageResize,
)
from equikpt.metainfo.horse26 import METAINFO
from tests.datasets.transforms.blobs import FLIP_INDICES, BlobSample, blob_centroids

# --- flips

DIRECTIONS = ["horizontal", "vertical", "diagonal"]
ROTATED = dict(bbox_rotation=np.array([25.0]))


def blobs(**extra) -> dict:
    results = BlobSample(1).results(**extra)
    results["keypoints_visible"] = np.array([[1, 0, 1]], np.float32)
    results["keypoints_visibility"] = np.array([[2, 0, 1]], np.uint8)
    return results


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_points_visibility_and_boxes_follow_the_flipped_image(direction):
    out = RandomFlipKeypoints(prob=1.0, direction=direction)(blobs())
    rows = [0, 1, 2] if direction == "diagonal" else FLIP_INDICES
    assert np.allclose(out["keypoints"][0], blob_centroids(out["img"])[rows], atol=0.05)
    for key in ("keypoints_visible", "keypoints_visibility"):
        assert np.array_equal(out[key], blobs()[key][:, rows])
    low, high = out["keypoints"][0].min(axis=0), out["keypoints"][0].max(axis=0)
    assert np.allclose(out["bbox"], np.hstack([low - 20, high + 20])[None], atol=1e-3)


def test_the_stock_flip_leaves_the_visibility_behind():
    """The control: this is what the subclass is for."""
    out = RandomFlip(prob=1.0)(blobs())
    assert np.array_equal(out["keypoints_visibility"], blobs()["keypoints_visibility"])


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_flipping_twice_is_the_identity(direction):
    flip = RandomFlipKeypoints(prob=1.0, direction=direction)
    before = GetBBoxCenterScale()(blobs(bbox_rotation=np.array([17.0])))
    after = flip(flip(dict(before)))
    for key in before:
        assert np.allclose(after[key], before[key], atol=1e-4), key


def test_a_sample_that_is_not_flipped_stays():
    out = RandomFlipKeypoints(prob=0.0)(blobs())
    assert out["flip"] is False
    assert all(np.array_equal(out[key], value) for key, value in blobs().items())


@pytest.mark.parametrize("flip_at", [0, 1, 2], ids=["before-box", "after-box", "after-rotation"])
def test_the_crop_is_the_mirrored_crop_wherever_the_flip_stands(flip_at):
    """And its points lie on their blobs."""
    crop = TopdownAffine(input_size=(255, 201), use_udp=True)
    steps = [GetBBoxCenterScale(padding=2.0), lambda results: {**results, **ROTATED}]
    plain = steps[1](steps[0](blobs()))
    if flip_at < 2:  # the box turns the same way after the flip: not the mirrored crop
        plain["bbox_rotation"] = -plain["bbox_rotation"]
    expected = crop(plain)
    steps.insert(flip_at, RandomFlipKeypoints(prob=1.0))
    out = blobs()
    for step in (*steps, crop):
        out = step(out)
    assert np.abs(out["img"].astype(int) - expected["img"][:, ::-1]).max() <= 2  # rounding
    points = blob_centroids(out["img"])[FLIP_INDICES]
    assert np.allclose(out["transformed_keypoints"][0], points, atol=0.25)


def test_flips_refuse_crops_and_bottom_up_inputs_that_are_not_square():
    with pytest.raises(ValueError, match="TopdownAffine"):
        RandomFlipKeypoints(prob=1.0)(TopdownAffine((256, 192))(GetBBoxCenterScale()(blobs())))
    with pytest.raises(ValueError, match="square input .* got 240 x 200 px"):
        RandomFlipKeypoints(prob=1.0)(blobs(input_size=(240, 200)))
    square = BlobSample(1, width=200).results(input_size=(200, 200))
    out = RandomFlipKeypoints(prob=1.0)(square)
    assert np.allclose(out["keypoints"][0], blob_centroids(out["img"])[FLIP_INDICES], atol=0.05)


# --- crops of a half

META = parse_pose_metainfo(METAINFO)
FRONT, HIND = META["upper_body_ids"], META["lower_body_ids"]

# A horse from the side, head to the left, in px; order of METAINFO
HORSE = np.array(
    [
        [12, 70], [22, 45], [24, 46], [30, 25], [34, 24], [70, 50], [120, 60], [170, 68],
        [235, 62], [262, 130], [105, 130], [112, 132], [102, 175], [118, 178], [100, 210],
        [122, 212], [98, 226], [120, 228], [228, 110], [222, 112], [245, 170], [230, 172],
        [240, 208], [226, 210], [236, 228], [222, 229],
    ],
    dtype=np.float32,
)  # fmt: skip


def horse(labelled: list[int] | None = None) -> dict:
    """The horse with only these rows labelled, or all."""
    low, high = HORSE.min(axis=0), HORSE.max(axis=0)
    visible = np.isin(np.arange(26), np.arange(26) if labelled is None else labelled)
    return dict(
        keypoints=HORSE[None].copy(),
        keypoints_visible=visible[None].astype(np.float32),
        upper_body_ids=FRONT,
        lower_body_ids=HIND,
        bbox_center=((low + high) / 2)[None],
        bbox_scale=(1.25 * (high - low))[None],
    )


def held(results: dict, rows: list[int]) -> np.ndarray:
    """Whether each point lies in the box."""
    center, half = results["bbox_center"][0], results["bbox_scale"][0] / 2
    return (np.abs(results["keypoints"][0, rows] - center) <= half).all(axis=1)


def test_halves_of_the_metainfo_are_front_and_hind():
    front, hind = ({META["keypoint_id2name"][row] for row in rows} for rows in (FRONT, HIND))
    assert {"nose", "withers", "l_knee", "rf_hoof"} <= front
    assert {"tail_base", "r_hip", "l_hock", "rh_hoof"} <= hind
    assert len(front) + len(hind) == 26


@pytest.mark.parametrize(("front_prob", "half"), [(1.0, FRONT), (0.0, HIND)], ids=["front", "hind"])
def test_a_crop_holds_its_half_and_not_the_whole_horse(front_prob, half):
    before = horse()
    out = RandomHalfBodyCrop(prob=1.0, front_prob=front_prob, padding=1.4)(dict(before))
    assert held(out, half).all()
    assert not held(out, FRONT + HIND).all()
    low, high = HORSE[half].min(axis=0), HORSE[half].max(axis=0)
    assert np.allclose(out["bbox_scale"][0], 1.4 * (high - low))
    assert np.allclose(out["bbox_center"][0], (low + high) / 2)
    for key in ("keypoints", "keypoints_visible"):
        assert out[key] is before[key]


def test_the_stock_crop_cuts_off_its_half():
    """The control: its centre is the mean of the points, so a far point falls out."""
    rows = [0, 1, 2, 3, 4, 5, 16, *HIND]  # one hoof below a head
    np.random.seed(0)  # noqa: NPY002 - the state that MMEngine seeds
    stock = RandomHalfBody(prob=1.0, upper_prioritized_prob=1.0, padding=1.25)
    ours = RandomHalfBodyCrop(prob=1.0, front_prob=1.0, padding=1.25)
    assert not held(stock(horse(rows)), rows[:7]).all()
    assert held(ours(horse(rows)), rows[:7]).all()


@pytest.mark.parametrize(
    ("rows", "half"),
    [(FRONT + HIND[:3], FRONT), (HIND + FRONT[:3], HIND), (FRONT[:3] + HIND[:3], None)],
    ids=["hind-unlabelled", "front-unlabelled", "few-points"],
)
def test_a_half_with_too_few_points_is_not_chosen(rows, half):
    transform = RandomHalfBodyCrop(min_total_keypoints=6, min_half_keypoints=4, prob=1.0)
    for _ in range(10):
        out = transform(horse(rows))
        if half is None:
            assert np.array_equal(out["bbox_scale"], horse()["bbox_scale"])
        else:
            assert held(out, [row for row in half if row in rows]).all()
            assert not held(out, rows).all()


def test_points_in_one_spot_still_give_a_crop_of_some_size():
    before = horse()
    before["keypoints"][0, FRONT] = 50
    out = RandomHalfBodyCrop(prob=1.0, front_prob=1.0, min_size=0.3)(dict(before))
    assert np.allclose(out["bbox_scale"], 0.3 * before["bbox_scale"])


def test_both_halves_are_drawn_with_their_probability():
    np.random.seed(1)  # noqa: NPY002 - the state that MMEngine seeds
    transform = RandomHalfBodyCrop(prob=0.3)
    center_x = horse()["bbox_center"][0, 0]
    moved = np.array([transform(horse())["bbox_center"][0, 0] - center_x for _ in range(600)])
    assert 0.24 < np.mean(moved != 0) < 0.36
    assert 0.38 < np.mean(moved[moved != 0] < 0) < 0.62  # the head is on the left


@pytest.mark.parametrize(
    "arguments",
    [dict(prob=1.2), dict(front_prob=-0.1), dict(padding=0.9), dict(min_size=2)],
    ids=lambda value: next(iter(value)),
)
def test_arguments_out_of_range_are_refused_by_name(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        RandomHalfBodyCrop(**arguments)


# --- points outside


def test_points_beyond_the_crop_are_dropped_and_no_others():
    points = np.array([[[0, 0], [255.4, 191.4], [256, 50], [50, 192], [-1, 50], [100, 100]]])
    results = dict(
        img=np.zeros((192, 256, 3), np.uint8),
        keypoints=np.zeros((1, 6, 2), np.float32),  # px of the raw image: must not matter
        transformed_keypoints=points.astype(np.float32),
        keypoints_visible=np.array([[1, 1, 1, 1, 1, 0]], np.float32),
        keypoints_visibility=np.array([[1, 2, 2, 1, 2, 0]], np.uint8),
    )
    out = DropOutsideKeypoints()(results)
    assert out["keypoints_visible"].tolist() == [[1, 1, 0, 0, 0, 0]]
    assert out["keypoints_visibility"].tolist() == [[1, 2, 0, 0, 0, 0]]
    unlabelled = dict(img=np.zeros((9, 9, 3), np.uint8), input_size=(9, 9))
    assert DropOutsideKeypoints()(dict(unlabelled)).keys() == unlabelled.keys()


# --- whole images


@pytest.mark.parametrize(("width", "height"), [(200, 150), (90, 160)])
def test_points_go_where_the_resized_image_goes(width, height):
    image = np.zeros((height, width, 3), np.uint8)
    x, y = int(0.6 * width), int(0.4 * height)
    image[y - 1 : y + 2, x - 1 : x + 2] = 255
    bare = dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])
    results = WholeImageResize((128, 128))(dict(bare, keypoints=np.array([[[x, y]]], np.float32)))
    assert results["img"].shape == (128, 128, 3)
    assert results["img_shape"] == (height, width)
    bright = np.argwhere(results["img"][..., 0] > 64).mean(0)[::-1]
    assert np.abs(results["transformed_keypoints"][0, 0] - bright).max() < 1
    assert results["keypoints"].tolist() == [[[x, y]]], "judged in px of the image"
    assert "transformed_keypoints" not in WholeImageResize((64, 64))(bare)


def test_udp_is_refused_for_whole_images():
    with pytest.raises(ValueError, match="use_udp=False"):
        WholeImageResize(input_size=(64, 64), use_udp=True)


# --- masks

SQUARE = [20, 20, 40, 20, 40, 40, 20, 40]
# the upper left corner, 10 columns of 30 px of 80, as COCO's uncompressed run lengths
CROWD = dict(size=[80, 100], counts=[0, *[30, 50] * 9, 30, 50 + 80 * 90])


def masked(transform, *segs, shift_px: float = 0) -> np.ndarray:
    """(20, 25) where the heatmap does not count."""
    sample = dict(
        invalid_segs=list(segs),
        img_shape=(80, 100),
        input_size=(100, 80),
        heatmaps=np.zeros((2, 20, 25), np.float32),
        warp_mat=np.array([[1, 0, shift_px], [0, 1, 0]], np.float32),
    )
    return ~transform(sample)["heatmap_mask"]


def test_people_without_labels_and_crowds_do_not_count():
    mask = masked(MaskUnlabelled(), [SQUARE])
    assert mask[6:9, 6:9].all()
    assert mask.sum() == 25
    assert not masked(MaskUnlabelled()).any()
    both = masked(MaskUnlabelled(), CROWD, [SQUARE])
    assert both[:7, :2].all()
    assert both[6:9, 6:9].all()
    assert not both[10:].any()
    # the control: this is what the subclass is for
    assert not masked(BottomupGetHeatmapMask(), CROWD).any()


def test_the_mask_follows_the_image():
    mask = masked(MaskUnlabelled(), [SQUARE], shift_px=40)
    assert mask[6:9, 16:19].all()
    assert not mask[:, 11:14].any()
    assert mask[:, :9].all()  # the image is not there any more
