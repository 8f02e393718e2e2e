import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement
from mmpose.datasets.transforms import PackPoseInputs, RandomBBoxTransform, TopdownAffine

import equikpt.codecs  # noqa: F401 - registers the encoder
from equikpt.datasets.checked_coco import CheckedCocoDataset
from equikpt.datasets.transforms import (
    DropOutsideKeypoints,
    FastPackPoseInputs,
    FastRandomBBoxTransform,
    TopdownAffineCrop,
)
from equikpt.datasets.transforms.fast import needed_region
from tests.datasets.transforms.blobs import BlobSample

HEIGHT, WIDTH = 150, 220
VIEWS = {"plain": (), "horizontal": (1,), "vertical": (0,), "diagonal": (0, 1)}


def seed_numpy(seed: int) -> None:
    np.random.seed(seed)  # noqa: NPY002 - what MMEngine seeds


def assert_same(got, expected, name: str = "sample", atol: float = 0) -> None:
    """Equal in keys, types and values, all the way down."""
    if isinstance(expected, BaseDataElement):
        assert type(got) is type(expected), name
        assert set(got.metainfo_keys()) == set(expected.metainfo_keys()), name
        got, expected = dict(got.all_items()), dict(expected.all_items())
    if isinstance(expected, dict):
        assert got.keys() == expected.keys(), name
        for key, value in expected.items():
            assert_same(got[key], value, f"{name}.{key}", atol)
    elif isinstance(expected, np.ndarray | torch.Tensor | np.generic):
        assert got.dtype == expected.dtype, name
        got, expected = np.asarray(got, float), np.asarray(expected, float)
        np.testing.assert_allclose(got, expected, rtol=0, atol=atol, err_msg=name)
    else:
        assert got == expected, name


# --- boxes


@pytest.mark.parametrize("boxes", [1, 3])
def test_one_seed_gives_the_boxes_of_the_stock_transform(boxes):
    outputs = []
    for kind in (RandomBBoxTransform, FastRandomBBoxTransform):
        transform = kind(shift_prob=0.7, scale_factor=(0.6, 1.4), rotate_prob=0.6)
        seed_numpy(0)
        for _ in range(50):
            center, scale = np.full((2, boxes, 2), [[[300.0]], [[500.0]]], np.float32)
            outputs.append(transform(dict(bbox_center=center, bbox_scale=scale)))
        outputs.append(dict(next_number=np.random.rand()))  # noqa: NPY002 - what MMEngine seeds
    for expected, got in zip(outputs[:51], outputs[51:], strict=True):
        assert_same(got, expected, atol=1e-3)
    assert len({float(output["bbox_scale"][0, 0]) for output in outputs[51:-1]}) == 50


def test_draws_keep_to_their_bounds():
    seed_numpy(1)
    drawn = FastRandomBBoxTransform._truncnorm(size=(1000, 4))
    assert drawn.shape == (1000, 4)
    assert np.abs(drawn).max() <= 1
    assert drawn.std() == pytest.approx(0.5396, abs=0.02)  # of a normal cut off at one sigma


# --- crops


def draw(seed: int, view: str, channels: tuple[int, ...] = (3,)) -> dict:
    """A sample of noise, which shows any shift, with a random box that may leave the image."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (HEIGHT, WIDTH, *channels), dtype=np.uint8)
    results = dict(
        img=np.flip(image, VIEWS[view]),
        bbox_center=rng.uniform((-40, -40), (WIDTH + 40, HEIGHT + 40), (1, 2)).astype(np.float32),
        bbox_scale=rng.uniform(8, 400, (1, 2)).astype(np.float32),
        keypoints=rng.uniform(-50, 250, (1, 5, 2)).astype(np.float32),
    )
    if seed % 3:
        results["bbox_rotation"] = rng.uniform(-180, 180, 1).astype(np.float32)
    return results


@pytest.mark.parametrize("use_udp", [False, True], ids=["plain", "udp"])
@pytest.mark.parametrize("view", VIEWS)
def test_the_crop_is_that_of_the_stock_transform(view, use_udp):
    options = dict(input_size=(64, 48), use_udp=use_udp)
    stock, ours = TopdownAffine(**options), TopdownAffineCrop(**options)
    shown = 0
    for seed in range(60):
        expected = stock(draw(seed, view))
        assert_same(ours(draw(seed, view)), expected)
        shown += bool(expected["img"].any())
    assert shown > 40  # boxes beside the image are few


@pytest.mark.parametrize(
    "change",
    [
        dict(img=draw(1, "horizontal", ())["img"]),
        dict(img=draw(1, "horizontal", (1,))["img"]),
        dict(keypoints=None),
        dict(img=[draw(3, "horizontal")["img"]] * 2),
    ],
    ids=["grey", "one channel", "no labels", "several images"],
)
def test_other_samples_are_cropped_alike(change):
    stock, ours = (
        kind((32, 32))({**draw(4, "horizontal"), **change})
        for kind in (TopdownAffine, TopdownAffineCrop)
    )
    assert ours.keys() == stock.keys()
    for key, value in stock.items():
        assert np.array_equal(ours[key], value), key


def test_a_read_only_image_is_read_only():
    sample = draw(2, "horizontal")
    image, before = sample["img"], sample["img"].copy()
    image.flags.writeable = False
    TopdownAffineCrop((32, 32))(sample)
    assert np.array_equal(image, before)


def test_several_instances_are_refused():
    sample = draw(5, "plain") | dict(bbox_center=np.zeros((2, 2), np.float32))
    with pytest.raises(ValueError, match="one instance a sample .* got 2"):
        TopdownAffineCrop((32, 32))(sample)


def test_the_needed_region_holds_all_that_an_output_shows():
    """Pixels outside it may be anything: the output does not change, inside it does."""
    image = draw(0, "plain", ())["img"]
    matrix = cv2.getRotationMatrix2D((110.0, 70.0), 30, 1.5)
    matrix[:, 2] -= (80, 40)
    region = needed_region(matrix, (48, 40), image.shape)
    assert image[region].size < image.size / 2
    expected = cv2.warpAffine(image, matrix, (48, 40))
    spoilt = 255 - image
    assert not np.array_equal(cv2.warpAffine(spoilt, matrix, (48, 40)), expected)
    spoilt[region] = image[region]
    assert np.array_equal(cv2.warpAffine(spoilt, matrix, (48, 40)), expected)


# --- packed samples


def sample(**extra) -> dict:
    rng = np.random.default_rng(0)
    return dict(
        img=rng.integers(0, 256, (48, 64, 3), dtype=np.uint8),
        id=7, img_id=5, img_path="a.jpg", input_size=(64, 48), flip_indices=[0, 2, 1],
        bbox=rng.uniform(0, 40, (1, 4)).astype(np.float32),
        keypoints=rng.uniform(0, 40, (1, 3, 2)).astype(np.float32),
        keypoints_visible=np.ones((1, 3), np.float32),
        keypoint_weights=np.ones((1, 3), np.float32),
        heatmaps=rng.random((3, 12, 16)).astype(np.float32),
        raw_ann_info=dict(id=7, keypoints=[1.0, 2.0, 2]),
    ) | extra  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [{}, dict(meta_keys=("id", "flip_indices")), dict(pack_transformed=True)],
    ids=["plain", "few keys", "transformed"],
)
@pytest.mark.parametrize(
    "image",
    [
        sample()["img"],
        sample()["img"][:, ::-1],
        sample()["img"][..., :1],
        sample()["img"].astype(np.float32),
        np.zeros((4, 5), np.uint8),
        [np.zeros((4, 5, 3), np.uint8)] * 2,
    ],
    ids=["plain", "mirrored", "one channel", "float", "grey", "several"],
)
def test_the_packed_sample_is_the_stock_one(options, image):
    extra = dict(img=image, transformed_keypoints=np.ones((1, 3, 2), np.float32))
    given = sample(**extra)
    expected, got = PackPoseInputs(**options)(sample(**extra)), FastPackPoseInputs(**options)(given)
    assert_same(got, expected)
    assert got["inputs"].is_contiguous()
    assert given.keys() == sample(**extra).keys()


@pytest.mark.parametrize("key", ["pixel_spacing_mm", "mark"])
def test_what_the_metric_needs_is_handed_on(key):
    assert FastPackPoseInputs()(sample(**{key: 1}))["data_samples"].metainfo[key] == 1
    assert key not in FastPackPoseInputs()(sample())["data_samples"]


# --- all of them together

CODEC = dict(input_size=(64, 48), sigma=(3.0, 3.0), normalize=False)


def pipeline(fast: bool, **loader) -> list[dict]:
    return [
        dict(type="mmpose.LoadCachedImage" if fast else "mmpose.LoadImage", **loader),
        dict(type="mmpose.GetBBoxCenterScale"),
        dict(type="mmpose.RandomFlip", prob=0.5),
        dict(type="mmpose.FastRandomBBoxTransform" if fast else "mmpose.RandomBBoxTransform"),
        dict(
            type="mmpose.TopdownAffineCrop" if fast else "mmpose.TopdownAffine",
            input_size=CODEC["input_size"],
        ),
        dict(
            type="mmpose.GenerateTarget",
            encoder=dict(type="mmpose.FastSimCCLabel" if fast else "mmpose.SimCCLabel", **CODEC),
        ),
        dict(type="mmpose.FastPackPoseInputs" if fast else "mmpose.PackPoseInputs"),
    ]


@pytest.mark.parametrize("bound", [0, 10**7], ids=["decoding", "cached"])
def test_a_pipeline_of_them_is_the_stock_pipeline_seed_for_seed(
    make_coco, write_coco, tiny_metainfo, bound
):
    options = dict(metainfo=tiny_metainfo, **write_coco(make_coco(num_images=6)))
    stock = CheckedCocoDataset(pipeline=pipeline(False), **options)
    fast = CheckedCocoDataset(pipeline=pipeline(True, max_bytes=bound), **options)
    flips = 0
    for seed in range(4):  # the later ones from the store
        samples = []
        for dataset in (stock, fast):
            seed_numpy(seed)
            samples.append([dataset[i] for i in range(len(dataset))])
        for expected, got in zip(*samples, strict=True):
            assert (got["inputs"].int() - expected["inputs"].int()).abs().max() <= 1
            expected, got = expected["data_samples"], got["data_samples"]
            flips += got.flip
            assert got.flip == expected.flip
            assert got.raw_ann_info == expected.raw_ann_info
            assert np.allclose(got.input_scale, expected.input_scale, atol=1e-3)
            labels, wanted = dict(got.gt_instance_labels), dict(expected.gt_instance_labels)
            del labels["visibility_labels"]  # not in the stock one
            assert_same(labels, wanted, atol=1e-6)
    assert 0 < flips < 4 * len(stock)
    assert bool(len(fast.pipeline.transforms[0].cache)) == bool(bound)


def test_visibility_labels_tell_what_a_crop_cut_off_from_what_nobody_labelled():
    results = BlobSample(1).results()
    results["keypoints"] = np.array([[[10.0, 10], [-5, 10], [20, 20]]], np.float32)
    results["keypoints_visible"] = np.array([[1, 1, 0]], np.float32)
    results["keypoints_visibility"] = np.array([[1, 2, 0]], np.uint8)
    results = DropOutsideKeypoints()(results)
    packed = FastPackPoseInputs(meta_keys=())(results)["data_samples"]
    assert packed.gt_instance_labels.visibility_labels.tolist() == [[1, 0, -1]]
