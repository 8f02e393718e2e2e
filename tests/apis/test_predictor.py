import copy
import functools
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from equikpt.apis import Predictor
from equikpt.apis.box_predictor import BoxPredictor, metainfo_of, usable_device
from equikpt.cli.launch import load_config
from equikpt.structures import Uncertainty, record_uncertainty
from equikpt_runtime.boxes import whole_image
from tests.random_models import random_checkpoint, with_training_features

TOP_DOWN, SIMCC, WHOLE, NAMED, UNNAMED, RADIOGRAPHS = (
    "smoke/td-hm_efficientnet-lite0_horse26-192x192",
    "smoke/rtmpose_m_ap10k",
    "experimental/smoke/hm_litehrnet_coco-whole-256x256",
    "experimental/smoke/sequential_efficientnet-lite0_horse26-256x256",
    "smoke/sequential_efficientnet-lite0_fsc147-384x384",
    "smoke/td-hm_efficientnet-lite0_p1p2-512x512",
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """``checkpoint(name)``: of a config, made once."""
    folder = tmp_path_factory.mktemp("weights")
    return functools.cache(lambda name: random_checkpoint(name, folder))


@pytest.fixture(scope="module")
def predictor(checkpoint) -> Predictor:
    return Predictor(TOP_DOWN, checkpoint(TOP_DOWN), device="cpu", batch_size=3)


@pytest.fixture
def image() -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def test_one_image_is_a_list_of_instances(predictor, image):
    (found,) = predictor(image)
    assert (found.keypoints.shape, found.scores.shape) == ((26, 2), (26,))
    assert found.box.tolist() == [0, 0, 119, 89]
    assert (found.box_score, found.track, found.maps) == (1, None, None)
    assert predictor.names[:2] == ("nose", "l_eye")


def test_keypoints_move_with_what_is_in_the_box(predictor, image):
    """px of the image: what lies 13 px further right and 7 further down is found there."""
    larger = np.zeros((140, 170, 3), np.uint8)
    larger[40:130, 20:140] = image
    box = np.array([30, 20, 90, 70])
    (here,) = predictor(larger, [box + [20, 40, 20, 40]])
    moved = np.roll(larger, (7, 13), axis=(0, 1))
    (there,) = predictor(moved, [box + [33, 47, 33, 47]])
    np.testing.assert_allclose(there.keypoints - here.keypoints, [[13, 7]] * 26, atol=0.02)
    assert there.box.tolist() == [63, 67, 123, 117]


def test_a_path_a_gray_and_a_turned_image_are_what_their_pixels_are(predictor, image, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), image)
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb_on_its_side = np.ascontiguousarray(np.rot90(image)[..., ::-1])
    Image.fromarray(rgb_on_its_side).save(tmp_path / "turned.png", exif=exif)
    (expected,) = predictor(image)
    for each in (tmp_path / "a.png", str(tmp_path / "a.png"), tmp_path / "turned.png"):
        (found,) = predictor(each)
        np.testing.assert_allclose(found.keypoints, expected.keypoints, atol=1e-3)
    gray = image[..., 0]
    (flat,), (deep,) = predictor([gray, gray.astype(np.uint16) << 4])
    np.testing.assert_allclose(flat.keypoints, deep.keypoints, atol=1e-3)


def test_a_list_of_images_is_a_list_of_lists(predictor, image):
    """Boxes go to their images, whatever the batches are: here 3 views of 7."""
    boxes = [None, [[0, 0, 50, 50], [10, 10, 80, 80], [30, 5, 110, 60]], [], [[5, 5, 60, 60, 0.7]]]
    images = [image, image[:70], image, image[:, :100]]
    found = predictor(images, boxes)
    assert [len(each) for each in found] == [1, 3, 0, 1]
    for its_image, its_boxes, instances in zip(images, boxes, found, strict=True):
        alone = predictor(its_image, its_boxes)
        for one, other in zip(instances, alone, strict=True):
            np.testing.assert_allclose(one.keypoints, other.keypoints, atol=1e-3)
            assert one.box.tolist() == other.box.tolist()
    assert found[3][0].box_score == pytest.approx(0.7)


def test_a_stream_takes_no_more_images_than_it_must(predictor, image):
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield image, None

    stream = predictor.stream(endless())
    for _ in range(3):
        next(stream)
    assert len(taken) == 3
    next(stream)
    assert len(taken) == 6


@pytest.mark.parametrize("name", [TOP_DOWN, SIMCC])
def test_maps_come_where_they_are_asked_for(checkpoint, image, name):
    (found,) = Predictor(name, checkpoint(name), maps=True, device="cpu")(image)
    assert found.maps.heat.shape[0] == 26
    assert ((found.maps.heat >= 0) & (found.maps.heat <= 1)).all()
    if name == SIMCC:
        peaks = np.column_stack([found.maps.along_x.argmax(1), found.maps.along_y.argmax(1)])
        px = peaks @ found.maps.to_image[:, :2].T + found.maps.to_image[:, 2]
        np.testing.assert_allclose(px, found.keypoints, atol=0.01)
    else:
        assert found.maps.along_x is None


def test_points_of_whole_images_are_instances_of_one_point(checkpoint, image, monkeypatch):
    predictor = Predictor(WHOLE, checkpoint(WHOLE), device="cpu")
    assert not predictor.takes_boxes
    batch, sizes = predictor._model.batch, []
    monkeypatch.setattr(
        predictor._model, "batch", lambda views: sizes.append(len(views)) or batch(views)
    )
    first, second = predictor([image, image[:50]])
    assert sizes == [1, 1]  # in a common batch they would be padded to one size
    for instance in first:
        given = np.isfinite(instance.keypoints).all(axis=1)
        assert instance.keypoints.shape == (17, 2)
        assert given.sum() == 1
        np.testing.assert_array_equal(instance.scores > 0, given)
    assert all(each.box.tolist() == [0, 0, 119, 49] for each in second)
    scores, alone = ([each.scores for each in found] for found in (second, predictor(image[:50])))
    np.testing.assert_allclose(scores, alone, atol=1e-5)
    with pytest.raises(ValueError, match="no boxes for a model of whole images"):
        predictor(image, [[0, 0, 9, 9]])


@pytest.mark.parametrize("name", [NAMED, UNNAMED])
def test_models_that_point(checkpoint, image, name):
    predictor = Predictor(name, checkpoint(name), device="cpu")
    (found,) = predictor(image)
    count = len(found.keypoints)
    assert found.keypoints.shape == (count, 2)
    assert found.scores.shape == (count,)
    if name == NAMED:
        assert count == 26
        with pytest.raises(ValueError, match="this head has none; leave out overlay"):
            Predictor(name, checkpoint(name), device="cpu", maps=True)(image)


def test_radiographs_are_read_as_radiographs(checkpoint, image, tmp_path):
    """A radiograph of 12 of 16 bits has its range stretched, as its model was trained."""
    predictor = Predictor(RADIOGRAPHS, checkpoint(RADIOGRAPHS), device="cpu")
    dark = (image[..., 0].astype(np.uint16) << 2) + 300
    cv2.imwrite(str(tmp_path / "radiograph.png"), dark)
    radiograph = predictor.read(tmp_path / "radiograph.png")
    assert (radiograph.min(), radiograph.max()) == (0, 255)


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ([[0, 0, 9]], r"expected boxes of shape \(N, 4\), .*got \[\[0"),
        ([0, 0, 9, 9], "expected boxes of shape"),
        ([[9, 0, 3, 9]], r"got \[9.*whose right or bottom"),
        ([[0, 0, float("nan"), 9]], "expected boxes of shape"),
        ([[130, 10, 150, 30]], "boxes within the image's 120 x 90 px"),
    ],
    ids=["three numbers", "one box bare", "left and right exchanged", "nan", "outside"],
)
def test_boxes_that_are_none_are_refused(predictor, image, boxes, words):
    with pytest.raises(ValueError, match=words):
        predictor(image, boxes)


def test_other_mistakes_are_sentences(predictor, checkpoint, image):
    with pytest.raises(ValueError, match="boxes for each of 2 images, got 1"):
        predictor([image, image], [None])
    with pytest.raises(ValueError, match="pass several images as a list"):
        predictor(np.stack([image, image]))
    with pytest.raises(FileNotFoundError, match=r"gone\.jpg"):
        predictor("gone.jpg")
    with pytest.raises(FileNotFoundError, match="did you mean"):
        Predictor("rtmpose_timm_ap1k", "weights.pth")
    with pytest.raises(ValueError, match="batch_size"):
        Predictor(load_config(TOP_DOWN), checkpoint(TOP_DOWN), batch_size=0)


def test_the_config_stays_as_it_was(checkpoint):
    cfg = load_config(TOP_DOWN)
    before = copy.deepcopy(cfg.to_dict())
    BoxPredictor(cfg, checkpoint(TOP_DOWN), maps=True)
    assert cfg.to_dict() == before
    assert cfg.model.backbone.weights == "package"


def test_the_flip_test_knows_the_sides(checkpoint, image):
    """In a mirrored image each side has the score of the other, but for rounding."""
    predictor = BoxPredictor(load_config(TOP_DOWN), checkpoint(TOP_DOWN))
    (plain,) = predictor(image, [whole_image(image)])
    (mirrored,) = predictor(np.ascontiguousarray(image[:, ::-1]), [whole_image(image)])
    swap = predictor.metainfo["flip_indices"]
    swapped = np.abs(plain.keypoint_scores - mirrored.keypoint_scores[:, swap]).max()
    unswapped = np.abs(plain.keypoint_scores - mirrored.keypoint_scores).max()
    assert swapped < 0.1 * unswapped


def test_metainfo_is_of_the_data_set_or_of_the_config():
    cfg = load_config(TOP_DOWN)
    assert metainfo_of(cfg)["dataset_name"] == "horse26"
    cfg.test_dataloader.dataset.metainfo = dict(
        dataset_name="own",
        keypoint_info={0: dict(name="nose", id=0, color=[1, 2, 3], type="upper", swap="")},
        skeleton_info={},
        joint_weights=[1.0],
        sigmas=[0.05],
    )
    assert metainfo_of(cfg)["dataset_name"] == "own"


@pytest.mark.parametrize(
    ("named", "cuda", "mps", "expected"),
    [
        ("cpu", True, True, "cpu"),
        (None, True, True, "cuda"),
        (None, False, True, "mps"),
        (None, False, False, "cpu"),
    ],
)
def test_a_gpu_is_taken_where_there_is_one(monkeypatch, named, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert usable_device(named) == expected


@pytest.fixture
def with_fit(checkpoint, tmp_path) -> tuple[str, Uncertainty]:
    """The checkpoint with a fit: radii of 0.5 are the spread, those of 0.9 three times that."""
    levels, factors = np.array([0.5, 0.9]), np.tile([1.0, 3.0], (26, 1))
    fit = Uncertainty(levels, factors, 1.0, np.array([0.0, 1.0]), np.array([0.2, 0.6]))
    content = torch.load(checkpoint(TOP_DOWN), weights_only=False)
    record_uncertainty(content, fit)
    torch.save(content, tmp_path / "fitted.pth")
    return str(tmp_path / "fitted.pth"), fit


def test_a_fit_in_the_checkpoint_gives_radii_and_probabilities(predictor, with_fit, image):
    path, fit = with_fit
    fitted = Predictor(TOP_DOWN, path, device="cpu")
    (plain,), (found,) = predictor(image), fitted(image)
    assert np.array_equal(found.keypoints, plain.keypoints)
    assert found.scores == pytest.approx(fit.probability(plain.scores))
    assert plain.radius is None
    (half,) = Predictor(TOP_DOWN, path, device="cpu", level=0.5)(image)
    assert found.radius == pytest.approx(3 * half.radius)
    twice = cv2.resize(image, None, fx=2, fy=2)
    (large,) = fitted(twice)  # the radius is one of the image
    assert np.median(large.radius / found.radius) == pytest.approx(2, rel=0.05)


def test_a_level_without_a_fit_is_refused(checkpoint, with_fit):
    with pytest.raises(ValueError, match="--fit"):
        Predictor(TOP_DOWN, checkpoint(TOP_DOWN), level=0.8)
    with pytest.raises(ValueError, match="level"):
        Predictor(TOP_DOWN, with_fit[0], level=0.99)


@pytest.mark.parametrize(("name", "has_branch"), [(TOP_DOWN, True), (WHOLE, False)])
def test_presence_comes_with_the_branch(checkpoint, image, name, has_branch):
    instances = Predictor(name, checkpoint(name), device="cpu")(image)
    assert instances
    for each in instances:
        assert (each.presence is not None) == (each.seen is not None) == has_branch
        if has_branch:
            assert ((each.presence > 0) & (each.presence < 1)).all()
            assert np.array_equal(each.visibility == 0, each.presence < 0.5)


@pytest.mark.parametrize("name", [TOP_DOWN, SIMCC, WHOLE, UNNAMED])
def test_what_is_unlike_the_training_gets_no_keypoints(checkpoint, image, tmp_path, name):
    plain = Predictor(name, checkpoint(name), device="cpu")(image)
    assert {(each.novelty, each.refused) for each in plain} <= {(None, "")}
    strict = with_training_features(name, checkpoint(name), 0.0, tmp_path)
    predictor = Predictor(name, strict, device="cpu")
    (refused,) = predictor(image)
    assert refused.refused.startswith("unlike the training images (score ")
    assert refused.novelty > predictor.training_features.limit
    assert np.isnan(refused.keypoints).all()
    assert len(refused.keypoints) == (0 if name == UNNAMED else len(predictor.names))
    assert not refused.scores.any()
    predictor.refuse = False
    anyway = predictor(image)
    predictor.refuse = True
    lax = replace(predictor.training_features, limit=1e9)
    predictor._model.model.training_features = lax
    for found in (anyway, predictor(image)):
        for one, other in zip(found, plain, strict=True):
            np.testing.assert_array_equal(one.keypoints, other.keypoints)
            assert (one.novelty, one.refused) == (refused.novelty, "")


def test_each_box_is_compared_by_itself(checkpoint, image, tmp_path):
    boxes = [[0, 0, 60, 60], [30, 20, 110, 80]]
    path = with_training_features(TOP_DOWN, checkpoint(TOP_DOWN), 1e9, tmp_path)
    first, second = (each.novelty for each in Predictor(TOP_DOWN, path, device="cpu")(image, boxes))
    path = with_training_features(TOP_DOWN, checkpoint(TOP_DOWN), (first + second) / 2, tmp_path)
    found = Predictor(TOP_DOWN, path, device="cpu")(image, boxes)
    assert [bool(each.refused) for each in found] == [first > second, second > first]
