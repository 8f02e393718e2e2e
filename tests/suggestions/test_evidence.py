import numpy as np
import pytest

from equikpt.config_checks.options import load_config
from equikpt.suggestions.evidence import MAX_SHIFT, Evidence, Judge
from tests.export.conftest import HEATMAPS, tiny_config, write_checkpoint
from tests.random_models import random_checkpoint


@pytest.fixture(scope="module")
def judge(tmp_path_factory) -> Judge:
    cfg = tiny_config(HEATMAPS)
    return Judge(cfg, write_checkpoint(cfg, tmp_path_factory.mktemp("w") / "a.pth"), device="cpu")


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    import cv2

    rng = np.random.default_rng(3)
    small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(small, (160, 120), interpolation=cv2.INTER_CUBIC)


BOX = np.array([12.0, 6, 140, 110])


def test_a_mirrored_view_says_the_same_mirrored(judge, image, monkeypatch):
    monkeypatch.setattr(
        "equikpt.suggestions.evidence._probabilities", lambda found, name: np.ones((1, 26))
    )
    turned = np.array([159 - BOX[2], BOX[1], 159 - BOX[0], BOX[3]])
    plain = judge([(image, BOX)])
    other = judge([(np.ascontiguousarray(image[:, ::-1]), turned)])
    back = other.keypoints[:, judge.metainfo["flip_indices"]] * (-1, 1) + (159, 0)
    apart = np.linalg.norm(back - plain.keypoints, axis=-1)[0] / np.sqrt(np.prod(BOX[2:] - BOX[:2]))
    assert apart.max() > 0.1  # weights are random
    np.testing.assert_allclose(plain.mirror, np.minimum(apart, MAX_SHIFT).sum(), rtol=1e-3)
    np.testing.assert_allclose(other.mirror, plain.mirror, rtol=1e-3)


def test_points_that_are_not_in_the_image_do_not_count(judge, image, monkeypatch):
    plain = judge([(image, BOX)])
    monkeypatch.setattr(
        "equikpt.suggestions.evidence._probabilities",
        lambda found, name: np.where(np.arange(26) < 3, 1.0, 0.0)[None],
    )
    few = judge([(image, BOX)])
    assert few.visibility[0].tolist() == [2] * 3 + [0] * 23
    np.testing.assert_allclose(few.uncertainty, (1 - plain.scores[0, :3]).sum())


def test_frames_that_stand_still_do_not_jump(judge, image):
    still, image_alone, moved = (
        judge([(image, BOX)], [following]).jump[0]
        for following in (image, None, np.ascontiguousarray(image[::-1]))
    )
    assert still == image_alone == 0
    assert 0 < moved <= MAX_SHIFT


def test_another_checkpoint_is_compared(judge, image, tmp_path):
    cfg = tiny_config(HEATMAPS)
    path = write_checkpoint(cfg, tmp_path / "a.pth")
    same = Judge(cfg, path, [path], "cpu")([(image, BOX)])
    assert same.checkpoints[0] == 0
    assert judge([(image, BOX)]).checkpoints[0] == 0


def test_batches_join(judge, image):
    one, two = judge([(image, BOX)]), judge([(image, BOX), (image[:, ::-1].copy(), BOX)])
    both = Evidence.join([one, two])
    assert len(both) == 3
    np.testing.assert_allclose(both.features[0], both.features[1], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(both.features, axis=1), 1, rtol=1e-5)
    assert both.uncertainty.shape == (3,)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "smoke/sequential_efficientnet-lite0_fsc147-384x384",
        "experimental/smoke/hm_litehrnet_coco-whole-256x256",
    ],
)
def test_models_without_named_keypoints_in_boxes_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match="named keypoints in boxes"):
        Judge(load_config(name), random_checkpoint(name, tmp_path), device="cpu")
