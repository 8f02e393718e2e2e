import numpy as np
import pytest

from equikpt.export.parity import HALF_MAX_PX, check_parity, measure

IMAGE = np.zeros((1, 2, 2, 3), np.uint8)


def outputs(shift=0.0, radius=2.0, score=0.5):
    coords = np.array([[[1.0 + shift, 2.0], [np.nan, np.nan]]])
    return dict(
        keypoints=coords, scores=np.array([[score, 0]]), radius=np.array([[radius, np.inf]])
    )


def test_distances_and_other_differences():
    references = [(IMAGE, outputs()), (IMAGE, outputs(shift=0.03, radius=2.2, score=0.4))]
    found = measure(lambda image: outputs(), references, "torch")
    assert found.max_px == pytest.approx(0.03)
    assert found.mean_px == pytest.approx(0.015)
    assert found.worst == 1
    assert found.others["scores"] == pytest.approx(0.1)
    assert found.others["radius"] == pytest.approx(0.2 / 2.2)
    check_parity(found)
    plain = found.to_dict()
    assert plain["images"] == 2
    assert plain["against"] == "torch"


def test_a_file_that_differs_is_refused():
    found = measure(lambda image: outputs(), [(IMAGE, outputs(shift=0.2))], "torch")
    with pytest.raises(ValueError, match=r"0\.05 px.*0\.2.*report it"):
        check_parity(found)
    check_parity(found, HALF_MAX_PX)
    far = measure(lambda image: outputs(), [(IMAGE, outputs(shift=0.6))], "torch")
    with pytest.raises(ValueError, match="leave out --fp16"):
        check_parity(far, HALF_MAX_PX)


def test_a_keypoint_of_one_side_alone_is_refused():
    other = outputs()
    other["keypoints"][0, 1] = 3
    with pytest.raises(ValueError, match="others"):
        measure(lambda image: outputs(), [(IMAGE, other)], "torch")


def test_an_output_of_one_side_alone_is_refused():
    other = outputs()
    del other["radius"]
    with pytest.raises(ValueError, match="outputs"):
        measure(lambda image: outputs(), [(IMAGE, other)], "torch")


def test_an_infinite_radius_of_one_side_alone_counts():
    found = measure(lambda image: outputs(), [(IMAGE, outputs(radius=np.inf))], "torch")
    assert found.others["radius"] == np.inf


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="images"):
        measure(lambda image: outputs(), [], "torch")


def placed(x: float, **others) -> dict:
    """Outputs with one keypoint, and another one in the middle."""
    coords = np.array([[[x, 1.0], [1.0, 1.0]]])
    return dict(keypoints=coords, scores=np.ones((1, 2))) | others


def test_what_a_flat_map_throws_out_of_the_crop_is_told_apart():
    found = measure(lambda image: placed(-400.1), [(IMAGE, placed(-400.0))], "torch")
    assert found.max_px == 0
    assert found.others["keypoints_outside"] == pytest.approx(0.1)
    astray = measure(lambda image: placed(-400.0), [(IMAGE, placed(1.5))], "torch")
    assert astray.max_px == pytest.approx(401.5)


@pytest.mark.parametrize("kind", ["peaks", "points"])
def test_images_without_a_keypoint_compare_nothing(kind):
    shape = (1, 2, 3, 2) if kind == "peaks" else (1, 3, 2)
    nothing = dict(keypoints=np.full(shape, np.nan), scores=np.zeros(shape[:-1]))
    with pytest.raises(ValueError, match="--images"):
        measure(lambda image: nothing, [(IMAGE, nothing)], "torch")


def test_a_number_of_one_side_alone_is_refused():
    found = measure(lambda image: outputs(), [(IMAGE, outputs(radius=np.inf))], "torch")
    with pytest.raises(ValueError, match="radius"):
        check_parity(found)
