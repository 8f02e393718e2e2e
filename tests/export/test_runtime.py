"""Exported files through the runtime, which has no torch: the instances of the predictor."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from equikpt.apis import BoxPredictor, Predictor
from equikpt.apis.ruler import RulerFinder, Scale, with_interval
from equikpt.config_checks.options import load_config
from equikpt.export import export_model
from equikpt.structures.uncertainty import CountUncertainty, record_uncertainty
from equikpt_runtime import Model
from equikpt_runtime.instance import Instance
from tests.export.conftest import HEATMAPS, SIMCC
from tests.random_models import random_checkpoint

COUNTING = "smoke/sequential_efficientnet-lite0_fsc147-384x384"
PEAKS = "experimental/smoke/hm_litehrnet_coco-whole-256x256"
RULER = "smoke/td-hm_efficientnet-lite0_p1p2-512x512"
TOLERANCE_PX = 0.1


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    blots = (rng.integers(0, 256, (6, 8, 3), dtype=np.uint8) for _ in range(3))
    sizes = ((160, 120), (90, 200), (64, 64))
    return [cv2.resize(blot, size) for blot, size in zip(blots, sizes, strict=True)]


def same(ours: list[Instance], theirs: list[Instance]) -> None:
    """Instances of one image: keypoints and radii to a tenth of a px, the rest to a thousandth.

    Random weights have flat maps, which throw some points far out, and are rounded as far as that.
    """
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one.keypoints, other.keypoints, rtol=5e-3, atol=TOLERANCE_PX)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-3)
        np.testing.assert_allclose(one.box, other.box)
        assert one.box_score == other.box_score
        for name in ("radius", "presence", "seen"):
            mine, its = getattr(one, name), getattr(other, name)
            assert (mine is None) == (its is None), name
            if its is not None:
                np.testing.assert_allclose(mine, its, rtol=1e-2, atol=1e-3)
        assert (one.novelty is None) == (other.novelty is None)
        if other.novelty is not None:
            assert one.novelty == pytest.approx(other.novelty, rel=1e-3)
        assert one.refused == other.refused


def assert_same_peaks(ours: list[Instance], theirs: list[Instance]) -> None:
    """Peaks in any order; of many of nearly one height another may be the last that is kept."""
    mine, its = (
        np.nan_to_num([each.keypoints for each in found], nan=-1e4) for found in (ours, theirs)
    )
    apart = [np.abs(its - one).max(axis=(1, 2)).min() for one in mine]
    assert abs(len(mine) - len(its)) <= 0.01 * len(its)
    assert np.mean(np.array(apart) < 0.2) > 0.97


@pytest.mark.parametrize("name", [HEATMAPS, SIMCC], ids=["heatmaps", "simcc"])
def test_boxes_of_images(tiny, images, tmp_path, name):
    cfg, checkpoint = tiny(name)
    path = export_model(cfg, tmp_path / "m.onnx", checkpoint, parity=False).path
    boxes = [[[5, 10, 80, 110, 0.7], [-4.5, 2, 60.25, 50, 1]], None, []]
    given = list(zip(images, boxes, strict=True))
    for options in (dict(refuse=False), dict(refuse=True), dict(refuse=False, level=0.5)):
        predictor = Predictor(cfg, checkpoint, device="cpu", **options)
        model = Model(path, threads=1, batch_size=2, **options)
        assert model.names == predictor.names
        assert model.has_radii == (not predictor.lacks_radii)
        assert model.takes_boxes == predictor.takes_boxes
        np.testing.assert_allclose(model.metainfo["sigmas"], predictor.metainfo["sigmas"])
        for ours, theirs in zip(model.stream(given), predictor.stream(given), strict=True):
            same(ours, theirs)
    with pytest.raises(AssertionError):  # the comparison sees another level
        same(model(images[0]), Predictor(cfg, checkpoint, device="cpu", refuse=False)(images[0]))


@pytest.mark.slow
@pytest.mark.parametrize("name", [COUNTING, PEAKS], ids=["points", "peaks"])
def test_whole_images(images, tmp_path, name):
    checkpoint, cfg = random_checkpoint(name, tmp_path), load_config(name)
    if name == COUNTING:
        content = torch.load(checkpoint)
        levels, tails = np.array([0.5, 0.9]), np.array([0.2, 0.05])
        record_uncertainty(content, CountUncertainty(levels, tails, "images"))
        torch.save(content, checkpoint)
    path = export_model(cfg, tmp_path / "m.onnx", checkpoint, parity=False).path
    predictor, model = Predictor(cfg, checkpoint, device="cpu"), Model(path, threads=1)
    found = [predictor(image) for image in images]
    for image, theirs in zip(images, found, strict=True):
        ours = model(image)
        if name == PEAKS:
            assert_same_peaks(ours, theirs)
        else:
            same(ours, theirs)
        if name == COUNTING:
            whole = np.array([0, 0, image.shape[1] - 1, image.shape[0] - 1])
            (told,) = BoxPredictor(cfg, checkpoint, "cpu")(image, [whole])
            assert list(ours[0].interval) == told.count_interval[0].tolist()
    assert any(len(each[0].keypoints) for each in found if each)


@pytest.mark.slow
def test_a_ruler(tmp_path):
    checkpoint, cfg = random_checkpoint(RULER, tmp_path), load_config(RULER)
    path = export_model(cfg, tmp_path / "m.onnx", checkpoint, parity=False).path
    gray = np.random.default_rng(1).integers(0, 4000, (23, 19)).astype(np.uint16)
    deep = cv2.resize(gray, (500, 700), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    finder = RulerFinder(BoxPredictor(cfg, checkpoint, "cpu"))
    predictor, model = Predictor(cfg, checkpoint, device="cpu"), Model(path, threads=1)
    image = predictor.read(tmp_path / "deep.png")
    np.testing.assert_array_equal(model.read(tmp_path / "deep.png"), image)
    told, (found,) = finder.find(image), model(tmp_path / "deep.png")
    np.testing.assert_allclose(found.keypoints, told.points, atol=TOLERANCE_PX)
    np.testing.assert_allclose(found.scores, told.scores, atol=1e-3)
    mm = model.description.plain["ruler"]["mm"]
    distance_px = np.linalg.norm(told.points[1] - told.points[0])
    assert found.scale.mm_per_px == pytest.approx(mm / distance_px, rel=1e-3)
    assert np.isnan(found.scale.high)
    scale = Scale("", mm / distance_px, 1, "", distance_px, 0, *told.points.ravel())
    assert with_interval(scale, mm, np.array([1, 1])).high_mm_per_px > scale.mm_per_px


def test_files_are_read_as_the_package_reads_them(tmp_path, images):
    from PIL import Image

    from equikpt.core.image import read_image
    from equikpt_runtime.images import read

    rgb = Image.fromarray(images[0][..., ::-1])
    exif = Image.Exif()
    exif[0x0112] = 6
    made: dict[str, tuple[Image.Image, dict]] = {
        "plain.png": (rgb, {}),
        "turned.jpg": (rgb, dict(exif=exif)),
        "gray.png": (rgb.convert("L"), {}),
        "alpha.png": (rgb.convert("RGBA"), {}),
        "palette.png": (rgb.convert("P"), {}),
        "colour.tif": (rgb, {}),
        "deep.png": (Image.fromarray(images[0][..., 0].astype(np.uint16) << 4), {}),
    }
    for name, (image, options) in made.items():
        image.save(tmp_path / name, **options)
        np.testing.assert_array_equal(read(tmp_path / name), read_image(tmp_path / name), name)
    assert read(Path(tmp_path, "turned.jpg")).shape == (160, 120, 3)
