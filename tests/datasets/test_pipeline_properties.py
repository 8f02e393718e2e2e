"""What must hold for the pipelines as a whole, whatever the sample and the draw."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.codecs import MSRAHeatmap, SimCCLabel, UDPHeatmap
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.datasets.transforms import GetBBoxCenterScale, RandomBBoxTransform, TopdownAffine
from mmpose.registry import TRANSFORMS
from mmpose.structures.bbox import get_udp_warp_matrix, get_warp_matrix
from mmpose.structures.keypoint import flip_keypoints

from equikpt.core.configs import find_config
from equikpt.core.pipelines import fill_codec
from equikpt.datasets import Horse26Dataset
from equikpt.datasets.transforms import RandomFlipKeypoints
from equikpt.metainfo.horse26 import METAINFO

META = parse_pose_metainfo(METAINFO)
FLIP = META["flip_indices"]
DERANDOMISED = settings(max_examples=50, derandomize=True, deadline=None)


@pytest.fixture(autouse=True)
def _mmpose_scope(_fresh_mmengine):
    init_default_scope("mmpose")  # as default_scope in a config does


@pytest.fixture(scope="module")
def config() -> Config:
    """A shipped config; its training pipeline has the codec and packs the points of the input."""
    cfg = Config.fromfile(find_config("rtmpose_m_ap10k"))
    cfg.train_pipeline = fill_codec(cfg.train_pipeline, cfg.codec)
    cfg.train_pipeline[-1]["pack_transformed"] = True
    return cfg


def horse(seed: int, width: int = 320, height: int = 240) -> dict:
    """A data info of Horse26Dataset with its image: noise, which no warp leaves unchanged."""
    rng = np.random.default_rng(seed)
    size = rng.uniform([120, 90], [240, 180])
    low = rng.uniform(0, [width, height] - size)
    keypoints = (low + rng.uniform(0, 1, (1, 26, 2)) * size).astype(np.float32)
    visibility = rng.choice([0, 1, 2], (1, 26), p=[0.2, 0.1, 0.7]).astype(np.uint8)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    return dict(
        img=cv2.GaussianBlur(image, (0, 0), 3),
        img_path="none.jpg",
        bbox=np.hstack([low, low + size])[None].astype(np.float32),
        bbox_score=np.ones(1, np.float32),
        keypoints=keypoints,
        keypoints_visible=(visibility > 0).astype(np.float32),
        keypoints_visibility=visibility,
        area=np.float32(size.prod()),
        id=seed,
        img_id=seed,
        category_id=np.array(1),
        raw_ann_info={},
        flip_indices=FLIP,
        upper_body_ids=META["upper_body_ids"],
        lower_body_ids=META["lower_body_ids"],
        dataset_keypoint_weights=META["dataset_keypoint_weights"],
    )


def until(pipeline: list[dict], type_name: str) -> Compose:
    """The part of a pipeline before the first transform of that type."""
    types = [step["type"] for step in pipeline]
    return Compose([TRANSFORMS.build(step) for step in pipeline[: types.index(type_name)]])


def seed_numpy(seed: int) -> None:
    np.random.seed(seed)  # noqa: NPY002 - the state that MMEngine seeds


# ---------------------------------------------------------------------- flips


@DERANDOMISED
@given(seed=st.integers(0, 10**6), width=st.integers(260, 400), height=st.integers(190, 300))
def test_flipping_twice_is_the_identity(seed, width, height):
    flip = RandomFlipKeypoints(prob=1.0)
    before = GetBBoxCenterScale()(dict(horse(seed, width, height), img_shape=(height, width)))
    after = flip(flip(dict(before)))
    assert np.array_equal(after["img"], before["img"])
    for key in ("keypoints_visible", "keypoints_visibility"):
        assert np.array_equal(after[key], before[key])
    for key in ("keypoints", "bbox", "bbox_center", "bbox_scale"):
        assert np.allclose(after[key], before[key], atol=1e-3)


def test_a_flip_renames_left_and_right_and_nothing_else():
    before = dict(horse(0), img_shape=(240, 320))
    after = RandomFlipKeypoints(prob=1.0)(dict(before))["keypoints"][0]
    back = after * (-1, 1) + (319, 0)  # to where it was
    swap = {"l_": "r_", "r_": "l_", "lf": "rf", "rf": "lf", "lh": "rh", "rh": "lh"}
    for name, row in META["keypoint_name2id"].items():
        new = META["keypoint_name2id"][swap.get(name[:2], name[:2]) + name[2:]]
        assert np.allclose(back[new], before["keypoints"][0, row], atol=0.01)


CODECS = {
    "simcc": SimCCLabel(
        (256, 256), sigma=(5.66, 5.66), simcc_split_ratio=2.0, normalize=False, use_dark=False
    ),
    "udp": UDPHeatmap((256, 256), (64, 64), sigma=2),
    "msra": MSRAHeatmap((256, 256), (64, 64), sigma=2, unbiased=True),
    "msra rounded": MSRAHeatmap((256, 256), (64, 64), sigma=2),
}


def points_in_the_input(seed: int, margin_px: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    points = rng.uniform(margin_px, 255 - margin_px, (1, 26, 2)).astype(np.float32)
    return points, rng.choice([0.0, 1.0], (1, 26)).astype(np.float32)


@DERANDOMISED
@given(seed=st.integers(0, 10**6))
def test_encoding_a_flipped_pose_is_flipping_the_target(seed):
    points, visible = points_in_the_input(seed, margin_px=0)
    flipped = flip_keypoints(points, visible, (256, 256), FLIP)
    encoded, mirrored = CODECS["udp"].encode(points, visible), CODECS["udp"].encode(*flipped)
    assert np.array_equal(mirrored["keypoint_weights"], encoded["keypoint_weights"][:, FLIP])
    # The Gaussian is cut off at three sigmas of the nearest cell: its rim may differ by a cell
    expected = encoded["heatmaps"][FLIP][..., ::-1]
    assert np.abs(mirrored["heatmaps"] - expected).max() <= np.exp(-(2.9**2) / 2)
    core = (expected > 0.1) | (mirrored["heatmaps"] > 0.1)
    assert np.allclose(mirrored["heatmaps"][core], expected[core], atol=1e-4)
    # SimCC to one bin, half a px: its bins lie about 2 x, mirrored bins about 2 x - 1
    encoded, mirrored = CODECS["simcc"].encode(points, visible), CODECS["simcc"].encode(*flipped)
    trained = mirrored["keypoint_weights"][0] > 0
    assert np.array_equal(trained, visible[0, FLIP] > 0)
    expected_x = encoded["keypoint_x_labels"][0, FLIP][:, ::-1].argmax(axis=1)
    found_x = mirrored["keypoint_x_labels"][0].argmax(axis=1)
    assert np.abs(found_x - expected_x)[trained].max(initial=0) <= 1
    expected_y = encoded["keypoint_y_labels"][0, FLIP]
    assert np.array_equal(mirrored["keypoint_y_labels"][0], expected_y)


@pytest.mark.parametrize("name", CODECS)
def test_encoding_and_decoding_loses_less_than_a_pixel(name):
    """The control is MSRA's default, which puts the Gaussian on the nearest cell of 4 px."""
    worst = 0.0
    for seed in range(50):
        # Three cells from the border: nearer to it, a Gaussian is cut off
        points, _ = points_in_the_input(seed, margin_px=12)
        encoded = CODECS[name].encode(points, np.ones((1, 26), np.float32))
        keys = ("keypoint_x_labels", "keypoint_y_labels") if name == "simcc" else ("heatmaps",)
        decoded, _ = CODECS[name].decode(*(encoded[key] for key in keys))
        worst = max(worst, np.abs(decoded - points).max())
    assert (worst < 1) == (name != "msra rounded")


# ---------------------------------------------------------------------- affine


@pytest.mark.parametrize("use_udp", [False, True], ids=["plain", "udp"])
@DERANDOMISED
@given(
    seed=st.integers(0, 10**6),
    rotation=st.floats(-40, 40),
    scale=st.floats(0.7, 1.3),
)
def test_affine_and_its_inverse_are_the_identity(use_udp, seed, rotation, scale):
    results = GetBBoxCenterScale()(horse(seed))
    results["bbox_rotation"] = np.array([rotation])
    results["bbox_scale"] = results["bbox_scale"] * scale
    out = TopdownAffine(input_size=(256, 256), use_udp=use_udp)(results)
    matrix_of = get_udp_warp_matrix if use_udp else get_warp_matrix
    matrix = matrix_of(out["input_center"], out["input_scale"], rotation, output_size=(256, 256))
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    points = out["transformed_keypoints"][0] @ inverse[:2, :2].T + inverse[:2, 2]
    assert np.abs(points - out["keypoints"][0]).max() < 0.01


# ---------------------------------------------------------------------- the training pipeline


def test_pipelines_are_whole_and_in_order(config):
    train = [step["type"] for step in config.train_dataloader.dataset.pipeline]
    assert train[0] == "LoadCachedImage"
    assert train[-2:] == ["GenerateTarget", "FastPackPoseInputs"]
    assert train.index("RandomFlipKeypoints") < train.index("TopdownAffineCrop")
    assert train.index("TopdownAffineCrop") < train.index("DropOutsideKeypoints")
    val = [step["type"] for step in config.val_dataloader.dataset.pipeline]
    assert val[:3] == ["LoadCachedImage", "GetBBoxCenterScale", "TopdownAffineCrop"]
    assert val[3:] == ["GenerateValTarget", "FastPackPoseInputs"]
    again = Config.fromstring(config.pretty_text, ".py")
    assert again.to_dict() == config.to_dict()


@pytest.mark.parametrize("loader", ["train_dataloader", "val_dataloader", "test_dataloader"])
def test_loaders_read_their_own_split_and_start_workers_anew(config, loader):
    split = loader.split("_")[0]
    dataset = config[loader].dataset
    assert dataset.type == "Horse26Dataset"
    assert dataset.ann_file == f"annotations/{split}.json"
    assert dataset.data_prefix.img == f"images/{split}/"
    assert dataset.get("test_mode", False) == (split != "train")
    assert config[loader].persistent_workers is False
    assert config[loader].worker_init_fn.type == "equikpt_worker_init_fn"
    assert "ann_file" not in config.val_evaluator[0]


def test_points_lie_on_their_marks_through_the_whole_geometry(config):
    """A white dot per image, followed through flip, half body, box and crop."""
    geometry = until(config.train_pipeline, "DropOutsideKeypoints")
    measured = 0
    for seed in range(80):
        results = horse(seed)
        k = seed % 26
        results["img"] = np.zeros((240, 320, 3), np.uint8)
        columns, rows = np.meshgrid(np.arange(320), np.arange(240))
        x, y = results["keypoints"][0, k]
        blob = 250 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18)
        results["img"][:] = np.round(blob)[..., None].astype(np.uint8)
        seed_numpy(seed)
        out = geometry(results)
        mass = out["img"][..., 0].astype(float)
        border = np.concatenate([mass[0], mass[-1], mass[:, 0], mass[:, -1]])
        raw_border_px = min(x, y, 319 - x, 239 - y)
        if mass.max() < 100 or border.max() > 0 or raw_border_px < 12:
            continue
        columns, rows = np.meshgrid(np.arange(256), np.arange(256))
        found = np.array([(mass * columns).sum(), (mass * rows).sum()]) / mass.sum()
        row = FLIP[k] if out["flip"] else k
        assert np.linalg.norm(out["transformed_keypoints"][0, row] - found) < 0.5
        measured += 1
    assert measured > 30


def train_draws(config: Config, count: int, seed: int = 0) -> list[dict]:
    """Samples just before their targets are made."""
    pipeline = until(config.train_pipeline, "GenerateTarget")
    seed_numpy(seed)
    return [pipeline(horse(seed + draw)) for draw in range(count)]


@pytest.mark.parametrize("dropping", [True, False], ids=["dropping", "control"])
def test_points_outside_the_crop_are_never_trained(config, dropping):
    """The control: the codec alone keeps points whose label still reaches into the crop."""
    steps = config.train_pipeline
    if not dropping:
        steps = [step for step in steps if step["type"] != "DropOutsideKeypoints"]
    pipeline = Compose(steps)
    seed_numpy(0)
    outside_count = trained_outside = 0
    for seed in range(60):
        sample = pipeline(horse(seed))["data_samples"]
        points = sample.gt_instances.transformed_keypoints[0]
        weights = sample.gt_instance_labels.keypoint_weights[0].numpy()
        outside = ((points < -0.5) | (points >= 255.5)).any(axis=1)
        outside_count += outside.sum()
        trained_outside += (weights[outside] > 0).sum()
        if dropping:  # and the others are, unless unlabelled: by the metainfo's weights
            labels = sample.gt_instances.keypoints_visible[0]
            assert np.allclose(weights, labels * META["dataset_keypoint_weights"])
    assert outside_count > 30
    assert (trained_outside == 0) == dropping


def test_hundreds_of_draws_are_well_formed(config):
    hidden = 0
    for draw, out in enumerate(train_draws(config, 300)):
        assert out["img"].shape == (256, 256, 3)
        assert out["img"].dtype == np.uint8
        assert out["transformed_keypoints"].shape == (1, 26, 2)
        assert np.isfinite(out["transformed_keypoints"]).all()
        visible, visibility = out["keypoints_visible"], out["keypoints_visibility"]
        assert np.array_equal(visible > 0, visibility > 0)
        before = horse(draw)["keypoints_visibility"]
        before = before[:, FLIP] if out["flip"] else before
        assert (visibility <= before).all()  # seen, hidden, gone: never the other way
        hidden += ((visibility == 1) & (before == 2)).any()
        assert (out["bbox_scale"] > 0).all()
    assert 300 * 0.15 < hidden < 300 * 0.45  # occlusion 0.2, coarse dropout 0.1


def test_equal_seeds_give_equal_draws_and_others_do_not(config):
    first, again, other = (train_draws(config, 5, seed) for seed in (7, 7, 8))
    for key in ("img", "transformed_keypoints"):
        pairs = zip(first, again, other, strict=True)
        for one, two, three in pairs:
            assert np.array_equal(one[key], two[key])
            assert not np.array_equal(one[key], three[key])


def test_every_transform_works_alone_behind_what_it_needs(config):
    """Each augmentation directly behind loading and, where it needs one, the crop."""
    load = [TRANSFORMS.build(step) for step in config.val_geometry]
    crop = TopdownAffine(input_size=(256, 256))
    for step in config.train_geometry[len(config.val_geometry) :]:
        out = Compose([*load, TRANSFORMS.build(step), crop])(horse(1))
        assert out["img"].shape == (256, 256, 3)
    for step in config.train_pixels:
        out = Compose([*load, crop, TRANSFORMS.build(step)])(horse(1))
        assert out["img"].shape == (256, 256, 3)


# ---------------------------------------------------------------------- ranges


def step_of(config: Config, type_name: str) -> dict:
    return next(step for step in config.train_pipeline if step["type"] == type_name)


def test_rotation_scale_and_shift_stay_in_their_ranges_and_reach_them(config):
    transform = TRANSFORMS.build(step_of(config, "FastRandomBBoxTransform"))
    assert isinstance(transform, RandomBBoxTransform)
    seed_numpy(0)
    center, scale = np.zeros((3000, 2)), np.tile([200.0, 100.0], (3000, 1))
    out = transform(dict(bbox_center=center, bbox_scale=scale))
    rotation, factor = out["bbox_rotation"], out["bbox_scale"] / scale
    shift = out["bbox_center"] / scale
    assert 39 < np.abs(rotation).max() <= 40
    assert 0.7 <= factor.min() < 0.71
    assert 1.29 < factor.max() <= 1.3 + 1e-6
    assert 0.155 < np.abs(shift).max() <= 0.16 + 1e-6
    assert np.allclose(factor[:, 0], factor[:, 1])


def test_half_of_the_samples_are_flipped(config):
    flip = TRANSFORMS.build(step_of(config, "RandomFlipKeypoints"))
    seed_numpy(0)
    flips = [
        flip(dict(img=np.zeros((2, 2, 3), np.uint8), img_shape=(2, 2)))["flip"] for _ in range(600)
    ]
    assert 0.45 < np.mean(flips) < 0.55


def colour_draws(config: Config, type_name: str, bgr: list[int], count: int = 1500) -> np.ndarray:
    """(count, 3) what one colour transform of the config makes of a pixel, when it acts."""
    colours = step_of(config, "AlbumentationsV2")["transforms"]
    only = [dict(step, p=1.0) for step in colours if step["type"] == type_name]
    transform = TRANSFORMS.build(dict(type="AlbumentationsV2", transforms=only))
    seed_numpy(0)
    pixel = np.array([[bgr]], np.uint8)
    return np.array([transform(dict(img=pixel))["img"][0, 0] for _ in range(count)]).astype(float)


def test_brightness_is_added_and_contrast_multiplied_within_their_ranges(config):
    black = colour_draws(config, "RandomBrightnessContrast", [0, 0, 0])
    assert 30 <= black.max() <= 32  # contrast leaves black, brightness adds up to 32
    grey = colour_draws(config, "RandomBrightnessContrast", [100, 100, 100])
    assert 100 * 0.5 - 32 <= grey.min() < 30
    assert 170 < grey.max() <= 100 * 1.5 + 32


def test_hue_and_saturation_stay_within_their_ranges(config):
    colour = cv2.cvtColor(np.array([[[90, 120, 200]]], np.uint8), cv2.COLOR_HSV2BGR)[0, 0].tolist()
    draws = colour_draws(config, "ColorJitter", colour)
    hsv = cv2.cvtColor(draws[None].astype(np.uint8), cv2.COLOR_BGR2HSV)[0].astype(int)
    hue = hsv[:, 0] - 90
    assert 16 <= np.abs(hue).max() <= 18 + 2  # 8-bit colours of low saturation round hues
    grey = cv2.cvtColor(np.array([[colour]], np.uint8), cv2.COLOR_BGR2GRAY)[0, 0]
    assert np.ptp(draws, axis=1).max() <= np.ptp(colour) * 1.5 + 3
    assert np.ptp(draws, axis=1).min() >= np.ptp(colour) * 0.5 - 3
    assert np.ptp(np.ptp(draws, axis=1)) > np.ptp(colour) * 0.8  # it does vary
    assert colour_draws(config, "ColorJitter", [int(grey)] * 3, 50).tolist() == [[grey] * 3] * 50


@pytest.mark.parametrize("name", ["GaussianBlur", "GaussNoise", "CoarseDropout"])
def test_blur_noise_and_dropout_have_a_probability_of_a_tenth(config, name):
    (step,) = [s for s in step_of(config, "AlbumentationsV2")["transforms"] if s["type"] == name]
    assert step["p"] == 0.1
    assert step_of(config, "RandomOcclusion")["prob"] == 0.2
    transform = TRANSFORMS.build(dict(type="AlbumentationsV2", transforms=[step]))
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    seed_numpy(0)
    changed = [(transform(dict(img=image))["img"] != image).any() for _ in range(600)]
    assert 0.07 < np.mean(changed) < 0.13


# ---------------------------------------------------------------------- files on disk


def test_the_dataset_feeds_the_training_pipeline(config, make_coco, write_coco):
    arguments = config.train_dataloader.dataset.to_dict()
    arguments.pop("type")
    files = write_coco(make_coco(num_keypoints=26))
    dataset = Horse26Dataset(**{**arguments, **files})
    seed_numpy(0)
    for index in list(range(len(dataset))) * 4:
        packed = dataset[index]
        labels = packed["data_samples"].gt_instance_labels
        assert packed["inputs"].shape == (3, 256, 256)
        assert labels.keypoint_x_labels.shape == (1, 26, 512)
        assert 0 < (labels.keypoint_weights > 0).sum() <= 26
