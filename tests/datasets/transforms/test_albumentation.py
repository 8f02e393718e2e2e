import pickle

import albumentations
import cv2
import numpy as np
import pytest
from mmengine.config import ConfigDict
from mmpose.datasets.transforms import GetBBoxCenterScale, TopdownAffine
from mmpose.registry import TRANSFORMS

from equikpt.datasets.transforms import AlbumentationsV2
from equikpt.datasets.transforms.albumentation_build import DROPOUTS, UNMOVED, USABLE
from tests.datasets.transforms.blobs import FLIP_INDICES, BlobSample, blob_centroids, orientation

ONCE = {  # each in its own name, always applied
    "Affine": dict(rotate=(-40, 40), scale=(0.7, 1.3), shear=(-15, 15)),
    "CenterCrop": dict(height=150, width=170),
    "Crop": dict(x_min=31, y_min=17, x_max=230, y_max=190),
    "D4": {},
    "HorizontalFlip": {},
    "Pad": dict(padding=(5, 9, 11, 3)),
    "PadIfNeeded": dict(min_height=321, min_width=333),
    "Perspective": dict(scale=(0.05, 0.15)),
    "RandomCrop": dict(height=150, width=170),
    "RandomCropFromBorders": {},
    "RandomRotate90": {},
    "Rotate": dict(limit=(-90, 90)),
    "SafeRotate": dict(limit=(-90, 90)),
    "SquareSymmetry": {},
    "Transpose": {},
    "VerticalFlip": {},
    "CropAndPad": dict(percent=(-0.2, 0.2)),
    "LongestMaxSize": dict(max_size=999),
    "RandomResizedCrop": dict(size=(600, 700), scale=(0.5, 1)),
    "RandomScale": dict(scale_limit=(1.5, 3)),
    "RandomSizedCrop": dict(min_max_height=(120, 180), size=(700, 700)),
    "Resize": dict(height=123, width=777),
    "SmallestMaxSize": dict(max_size=999),
}
FLIP_OR_ROTATE = [dict(type="HorizontalFlip", p=1), dict(type="Rotate", limit=(30, 60), p=1)]
TRANSPOSE_AND_AFFINE = [dict(type="Transpose", p=1), dict(type="Affine", rotate=(-30, 30), p=1)]
GEOMETRIC = {
    **{name: dict(type=name, p=1, **options) for name, options in ONCE.items()},
    "replicating": dict(
        type="Affine", translate_px=(-30, 30), border_mode=cv2.BORDER_REPLICATE, p=1
    ),
    "mirroring": dict(type="Affine", scale={"x": (-1.0, -1.0), "y": (1.0, 1.0)}, p=1),
    "fitting": dict(type="Perspective", keep_size=False, fit_output=True, p=1),
    "one of": dict(type="OneOf", transforms=FLIP_OR_ROTATE, p=1),
    "two": dict(type="Sequential", transforms=TRANSPOSE_AND_AFFINE, p=1),
}
ALWAYS_MIRROR = {"mirroring", "HorizontalFlip", "Transpose", "VerticalFlip", "two"}
SOMETIMES_MIRROR = {"D4", "SquareSymmetry", "one of"}


def apply(config: dict | list, results: dict, seed: int = 0) -> dict:
    np.random.seed(seed)  # noqa: NPY002 - the state that MMEngine seeds
    return AlbumentationsV2(config if isinstance(config, list) else [config])(results)


# ---------------------------------------------------------------------- points follow the image


@pytest.mark.parametrize("name", GEOMETRIC)
def test_points_boxes_and_names_follow_the_image(name):
    measured, mirrored = 0, []
    for seed in range(12):
        sample = BlobSample(seed)
        out = apply(GEOMETRIC[name], sample.results(), seed)
        centroids = blob_centroids(out["img"])
        if np.isfinite(centroids).all():
            # a mirrored image turns the triangle of blobs over, which is known without any map
            mirrored.append(orientation(centroids) * orientation(sample.points) < 0)
            colour_of_row = FLIP_INDICES if mirrored[-1] else [0, 1, 2]
            error_px = np.linalg.norm(out["keypoints"][0] - centroids[colour_of_row], axis=1)
            assert error_px.max() < 0.25
            measured += 1
            x1, y1, x2, y2 = out["bbox"][0]
            rows, columns = np.nonzero(out["img"].max(axis=2) > 40)  # 2 sigma of a blob, 6 px
            assert x1 - 0.5 <= columns.min() <= columns.max() <= x2 + 0.5
            assert y1 - 0.5 <= rows.min() <= rows.max() <= y2 + 0.5
        height, width = out["img"].shape[:2]
        assert out["img_shape"] == (height, width)
        assert out["bbox"].min() >= 0
        assert (out["bbox"][0, 2:] <= (width - 1, height - 1)).all()
    assert measured >= 3
    assert all(mirrored) == (name in ALWAYS_MIRROR)
    assert any(mirrored) == (name in ALWAYS_MIRROR | SOMETIMES_MIRROR)


@pytest.mark.parametrize("name", [*UNMOVED, "HorizontalFlip"])
def test_transforms_that_move_nothing_leave_points_and_boxes(name):
    """Also a box beyond the border."""
    sample = BlobSample(0).results()
    sample["bbox"] = np.array([[-3, 0, 240, 200]], np.float32)
    out = apply(dict(type=name, p=int(name in UNMOVED)), dict(sample))
    for key in ("keypoints", "keypoints_visible", "keypoints_visibility", "bbox"):
        assert np.array_equal(out[key], sample[key])


@pytest.mark.parametrize(
    "config",
    [
        dict(type="HorizontalFlip", p=1),
        dict(type="VerticalFlip", p=1),
        dict(type="Resize", height=400, width=480, p=1),
        dict(type="Transpose", p=1),
    ],
    ids=lambda config: config["type"],
)
def test_padded_box_and_box_move_alike(config):
    """Padding, then moving, is moving, then padding."""
    padding = GetBBoxCenterScale(padding=1.25)
    first = apply(config, padding(BlobSample(0).results()))
    second = padding(apply(config, BlobSample(0).results()))
    assert np.allclose(first["bbox_center"], second["bbox_center"], atol=0.01)
    assert np.allclose(first["bbox_scale"], second["bbox_scale"], atol=0.01)


def test_area_and_segmentation_do_not_go_stale():
    sample = BlobSample(0).results(area=np.float32(1000), segmentation=[[1, 2, 3, 4, 5, 6]])
    out = apply(dict(type="Resize", height=400, width=480, p=1), sample)
    assert out["area"] == pytest.approx(4000)
    assert out["segmentation"] is None


def test_points_that_leave_the_image_are_dropped():
    sample = BlobSample(0)
    border = float(sample.points[:, 0].mean())
    crop = dict(type="Crop", x_min=0, y_min=0, x_max=int(border), y_max=200, p=1)
    out = apply(crop, sample.results())
    outside = sample.points[:, 0] > int(border) - 0.5
    assert outside.any()
    assert not outside.all()
    assert np.array_equal(out["keypoints_visible"][0] == 0, outside)
    assert np.array_equal(out["keypoints_visibility"][0] == 0, outside)


def test_visible_weights_survive():
    sample = BlobSample(0).results()
    sample["keypoints_visible"] = np.full((1, 3, 2), 0.5, np.float32)
    crop = dict(type="Crop", x_min=0, y_min=0, x_max=120, y_max=200, p=1)
    out = apply(crop, sample)
    assert set(out["keypoints_visible"][0, :, 0]) == {0, 0.5}
    assert (out["keypoints_visible"][..., 1] == 0.5).all()


def test_a_sample_whose_instance_leaves_stays_as_it_was():
    sample = BlobSample(0).results()
    out = apply(dict(type="Crop", x_min=0, y_min=0, x_max=20, y_max=20, p=1), dict(sample))
    assert all(np.array_equal(out[key], sample[key]) for key in sample)


def test_the_arrays_that_came_in_are_not_written_to():
    sample = BlobSample(0).results()
    before = pickle.dumps(sample)
    apply([dict(type="CoarseDropout", p=1), dict(type="HorizontalFlip", p=1)], dict(sample))
    assert pickle.dumps(sample) == before


def test_an_image_without_labels_is_moved():
    image = BlobSample(0).image
    out = apply(dict(type="HorizontalFlip", p=1), dict(img=image, img_shape=image.shape[:2]))
    assert np.array_equal(out["img"], image[:, ::-1])


# ---------------------------------------------------------------------- place in the pipeline


def cropped(seed: int = 0, size: tuple[int, int] = (256, 192)) -> dict:
    results = GetBBoxCenterScale(padding=1.5)(BlobSample(seed).results())
    return TopdownAffine(input_size=size)(results)


@pytest.mark.parametrize("mirror", [False, True], ids=["plain", "mirrored"])
def test_behind_topdown_affine_the_crop_moves(mirror):
    config = [dict(type="Rotate", limit=(10, 20), p=1), dict(type="HorizontalFlip", p=int(mirror))]
    before = cropped()
    out = apply(config, dict(before))
    rows = FLIP_INDICES if mirror else [0, 1, 2]
    error_px = out["transformed_keypoints"][0] - blob_centroids(out["img"])[rows]
    assert np.abs(error_px).max() < 0.25
    assert np.array_equal(out["keypoints"], before["keypoints"][:, rows])  # px of the raw image
    assert np.array_equal(out["bbox"], before["bbox"])
    assert "input_center" in before
    assert "input_center" not in out
    assert "input_scale" not in out


def test_an_unmoved_crop_keeps_its_way_back():
    out = apply([dict(type="Rotate", p=0), dict(type="GaussianBlur", p=1)], cropped())
    assert "input_center" in out
    assert "input_scale" in out


def rotated() -> dict:
    results = GetBBoxCenterScale()(BlobSample(0).results())
    results["bbox_rotation"] = np.array([12.0])
    return results


@pytest.mark.parametrize(
    ("sample", "config", "sentence"),
    [
        (cropped, dict(type="Resize", height=100, width=100, p=1), "before TopdownAffine"),
        (
            lambda: cropped() | dict(keypoint_weights=1),
            dict(type="Rotate"),
            "before GenerateTarget",
        ),
        (rotated, dict(type="HorizontalFlip", p=1), "before RandomBBoxTransform"),
        (lambda: BlobSample(0).results(img_mask=1), dict(type="Transpose", p=1), "img_mask"),
        (
            lambda: {k: v for k, v in BlobSample(0).results().items() if k != "flip_indices"},
            dict(type="HorizontalFlip", p=1),
            "flip_indices",
        ),
        (BlobSample(0).results, dict(type="Normalize", p=1), "data_preprocessor"),
    ],
    ids=["size", "targets-made", "rotated-box", "mask", "no-flip-indices", "normalize"],
)
def test_positions_where_it_cannot_stand(sample, config, sentence):
    with pytest.raises(ValueError, match=sentence):
        apply(config, sample())


def test_float_images_are_refused():
    sample = BlobSample(0).results()
    sample["img"] = sample["img"].astype(np.float32)
    with pytest.raises(TypeError, match="to_float32=False"):
        apply(dict(type="GaussianBlur", p=1), sample)


# ---------------------------------------------------------------------- holes hide points


@pytest.mark.parametrize("flip", [False, True], ids=["plain", "then-flipped"])
@pytest.mark.parametrize(
    "config",
    [
        dict(type="CoarseDropout", num_holes_range=(3, 6), hole_height_range=(0.2, 0.4), fill=255),
        dict(type="GridDropout", ratio=0.5, fill=255),
        dict(type="Erasing", scale=(0.1, 0.3), fill=255),
        dict(type="XYMasking", num_masks_x=3, num_masks_y=3, mask_x_length=30, fill=255),
    ],
    ids=lambda config: config["type"],
)
def test_points_in_holes_become_hidden_and_no_others(config, flip):
    pattern = set()
    for seed in range(12):
        sample = BlobSample(seed).results()
        sample["img"][:] = 0
        out = apply([dict(config, p=1), dict(type="HorizontalFlip", p=int(flip))], sample, seed)
        columns, rows = np.floor(out["keypoints"][0] + 0.5).astype(int).T
        covered = out["img"][rows, columns, 0] == 255
        assert np.array_equal(out["keypoints_visibility"][0] == 1, covered)
        assert (out["keypoints_visible"] == 1).all()
        pattern |= set(covered)
    assert pattern == {True, False}


def test_points_without_label_stay_unlabelled_in_holes():
    sample = BlobSample(0).results()
    sample["keypoints_visibility"] = np.array([[0, 1, 2]], np.uint8)
    sample["keypoints_visible"] = np.array([[0, 1, 1]], np.float32)
    whole = dict(hole_height_range=(0.99, 0.99), hole_width_range=(0.99, 0.99))
    out = apply(dict(type="CoarseDropout", num_holes_range=(1, 1), p=1, **whole), sample)
    assert out["keypoints_visibility"].tolist() == [[0, 1, 1]]
    assert out["keypoints_visible"].tolist() == [[0, 1, 1]]


# ---------------------------------------------------------------------- colours, random numbers


def test_colours_arrive_in_the_order_of_their_names():
    sample = BlobSample(0).results()
    sample["img"][:] = 100
    shift = dict(type="RGBShift", r_shift_limit=(50, 50), g_shift_limit=0, b_shift_limit=0, p=1)
    assert apply(shift, sample)["img"][0, 0].tolist() == [100, 100, 150]  # BGR


RANDOM = [
    dict(type="ColorJitter", p=0.5),
    dict(type="GaussianBlur", p=0.5),
    dict(type="GaussNoise", p=0.5),
    dict(type="MotionBlur", p=0.5),
    dict(type="CoarseDropout", fill="random", p=0.5),
    dict(type="RandomBrightnessContrast", p=0.5),
    dict(type="Affine", rotate=(-40, 40), p=0.5),
    dict(type="Perspective", p=0.5),
    dict(type="HorizontalFlip", p=0.5),
]


def draws(seed: int, count: int = 4) -> list[dict]:
    np.random.seed(seed)  # noqa: NPY002 - the state that MMEngine seeds
    transform = AlbumentationsV2(RANDOM)
    return [transform(BlobSample(0).results()) for _ in range(count)]


def test_equal_seeds_give_equal_samples_and_others_do_not():
    first, again, other = draws(3), draws(3), draws(4)
    for one, two in zip(first, again, strict=True):
        assert all(np.array_equal(one[key], two[key]) for key in one)
    assert not any(
        np.array_equal(one["img"], two["img"]) for one, two in zip(first, other, strict=True)
    )
    assert not np.array_equal(first[0]["img"], first[1]["img"])


def test_transforms_of_equal_probability_act_independently():
    """Albumentations' own ``set_random_seed`` makes them all act, or none."""
    np.random.seed(0)  # noqa: NPY002 - the state that MMEngine seeds
    none = dict(type="RGBShift", r_shift_limit=0, g_shift_limit=0, b_shift_limit=0, p=0.5)
    shifts = [{**none, f"{channel}_shift_limit": (50, 50)} for channel in "rb"]
    transform = AlbumentationsV2(shifts)
    pixel = np.full((1, 1, 3), 100, np.uint8)
    acted = np.array([transform(dict(img=pixel))["img"][0, 0] > 100 for _ in range(400)])
    red, blue = acted[:, 2], acted[:, 0]
    for fraction in (red.mean(), blue.mean()):
        assert 0.4 < fraction < 0.6
    assert 0.18 < (red & blue).mean() < 0.32


# ---------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("config", "sentences"),
    [
        (dict(type="CoarseDropout", max_holes=8), ["CoarseDropout", "max_holes"]),
        (dict(type="GaussNoise", var_limit=(10, 50)), ["GaussNoise", "var_limit"]),
        (
            dict(type="OneOf", transforms=[dict(type="Rotate", limits=20)]),
            ["Rotate", "got limits", "did you mean limit"],
        ),
        (dict(type="OneOf", transforms=[dict(type="Blur")], prob=1), ["OneOf", "prob"]),
        (dict(type="GaussianBlurr"), ["did you mean", "GaussianBlur"]),
        (dict(type="HorizontalFlip", p=1.5), ["HorizontalFlip", "less than or equal to 1"]),
        (dict(type="Blur", blur_limit=(4, 6)), ["Blur", "automatically adjusted"]),
        (dict(type="ShiftScaleRotate"), ["ShiftScaleRotate", "Affine"]),
        (dict(type="ElasticTransform"), ["ElasticTransform", "off the image"]),
        (dict(type="RandomGridShuffle"), ["RandomGridShuffle", "tears"]),
        (dict(type="Mosaic"), ["Mosaic", "more than an image"]),
        (dict(type="FDA"), ["FDA", "fda_metadata"]),
        (
            dict(type="Rotate", border_mode=cv2.BORDER_REFLECT_101),
            ["Rotate", "border_mode", "without its labels"],
        ),
        (dict(type="OneOf", transforms=[]), ["OneOf", "at least one"]),
        (dict(type="ToTensorV2"), ["ToTensorV2"]),
        (dict(type="RandomCrop"), ["RandomCrop", "Field required"]),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_wrong_arguments_are_refused_by_name(config, sentences):
    with pytest.raises(ValueError) as error:
        AlbumentationsV2([config])
    for sentence in sentences:
        assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_albumentations_itself_would_only_warn():
    """The control: without the check the wrong argument is dropped."""
    with pytest.warns(UserWarning, match="max_holes"):
        albumentations.CoarseDropout(max_holes=8)


@pytest.mark.parametrize(
    "transforms",
    [dict(type="Blur"), "Blur", ["Blur"], [dict(p=1)], [dict(type=albumentations.Blur)]],
    ids=["dict", "name", "list-of-names", "no-type", "class"],
)
def test_anything_but_a_list_of_dicts_is_refused(transforms):
    with pytest.raises(TypeError, match="expected"):
        AlbumentationsV2(transforms)


def test_every_transform_of_albumentations_is_taken_or_refused_by_a_sentence():
    """No dual transform gets in without having been measured."""
    measured = {config["type"] for config in GEOMETRIC.values()} | {*DROPOUTS, *UNMOVED}
    assert set(USABLE) <= measured
    names = [
        name
        for name, cls in vars(albumentations).items()
        if isinstance(cls, type) and issubclass(cls, albumentations.DualTransform)
    ]
    assert len(names) > 40
    for name in set(names) - set(USABLE):
        with pytest.raises(ValueError, match="keeps keypoints right"):
            AlbumentationsV2([dict(type=name)])


def test_it_is_built_from_a_config_and_survives_pickling():
    either = [dict(type="CoarseDropout"), dict(type="RandomScale")]
    steps = [dict(type="OneOf", transforms=either)]
    transform = TRANSFORMS.build(ConfigDict(type="AlbumentationsV2", transforms=steps))
    results = []
    for one in (transform, pickle.loads(pickle.dumps(transform))):
        np.random.seed(5)  # noqa: NPY002 - the state that MMEngine seeds
        results.append(one(BlobSample(0).results()))
    assert all(np.array_equal(results[0][key], results[1][key]) for key in results[0])
    assert "CoarseDropout" in repr(transform)
