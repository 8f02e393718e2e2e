from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.structures import InstanceData

from equikpt.apis.box_predictor import BoxPredictor
from equikpt.apis.counting import count, format_count, load, without_intervals
from equikpt.structures import CountUncertainty
from equikpt_runtime.files import drawn_paths


class Predictor:
    """Points at the corners of what is white; says done unless there are more than two."""

    model = SimpleNamespace(head=SimpleNamespace(done_threshold=0.5))

    def __call__(self, image: np.ndarray, boxes: list) -> list[InstanceData]:
        height, width = image.shape[:2]
        assert [list(box) for box in boxes] == [[0, 0, width - 1, height - 1]]
        rows, columns = np.nonzero(image[..., 0] > 200)
        points = np.column_stack([columns, rows]).astype(float)
        done = [0.1] * len(points) + [0.9 if len(points) <= 2 else 0.2]
        return [
            InstanceData(
                keypoints=points[None],
                keypoint_scores=np.full((1, len(points)), 0.75),
                done_probability=np.array([done]),
                count_interval=np.array([[len(points), len(points) + 3]]),
            )
        ]


@pytest.fixture
def images(tmp_path) -> list[str]:
    """One with two white px, one with none, one with three; one file that is no image."""
    paths = []
    points = dict(two=[(3, 4), (7, 9)], none=[], three=[(1, 1), (2, 2), (3, 3)])
    for name, coords in points.items():
        image = np.zeros((40, 30, 3), np.uint8)
        for x, y in coords:
            image[y, x] = 255
        path = tmp_path / f"{name}.png"
        cv2.imwrite(str(path), image)
        paths.append(str(path))
    broken = tmp_path / "broken.png"
    broken.write_text("no image")
    return [*paths, str(broken), str(tmp_path / "absent.png")]


def test_counts_are_the_points_of_each_image(images):
    two, none, three, broken, absent = count(images, Predictor())
    assert (two.count, two.points, two.scores) == (2, [[3, 4], [7, 9]], [0.75, 0.75])
    assert (none.count, none.points, none.complete) == (0, [], True)
    assert (two.interval, none.interval, broken.interval) == ([2, 5], [0, 3], None)
    assert two.complete
    assert not three.complete
    assert broken.count is None
    assert "it is none of JPEG" in broken.problem
    assert absent.count is None
    assert "found no such file" in absent.problem


def test_one_line_each(images):
    lines = [format_count(found) for found in count(images, Predictor())]
    assert lines[0].endswith("two.png: 2 (2 to 5)")
    assert lines[2].endswith("three.png: 3 or more: stopped at the most points of the config")
    assert "broken.png: not counted, expected an image" in lines[3]


class Unsure(Predictor):
    """Has no intervals."""

    def __call__(self, image: np.ndarray, boxes: list) -> list[InstanceData]:
        (found,) = super().__call__(image, boxes)
        del found.count_interval
        return [found]


def test_a_count_without_an_interval_is_shown_without_one(images):
    (two,) = count(images[:1], Unsure())
    assert two.interval is None
    assert format_count(two).endswith("two.png: 2")


def test_the_reason_why_there_are_no_intervals():
    predictor = object.__new__(BoxPredictor)
    predictor.model = SimpleNamespace(uncertainty=None, level=0.9)
    assert "--split val --fit" in without_intervals(predictor)
    fit = CountUncertainty(np.array([0.5, 0.9]), np.array([0.2, 0.0]), "5 images, 12ab")
    predictor.model.uncertainty = fit
    assert "of 5 images, says nothing of the level 0.9" in without_intervals(predictor)
    predictor.model.level = 0.5
    assert without_intervals(predictor) == ""


def test_images_are_written_with_their_points(images, tmp_path):
    out = tmp_path / "out"
    list(count(images[:2], Predictor(), out))
    drawn = [cv2.imread(str(path)) for path in drawn_paths(images[:2], out, "points")]
    assert [image.shape for image in drawn] == [(40, 30, 3)] * 2
    assert (drawn[0] != drawn[1]).any()
    assert cv2.imread(images[0]).max() == 255  # the image itself is as it was


class Wary(Predictor):
    """Finds images with two points unlike those of its training."""

    def __call__(self, image: np.ndarray, boxes: list) -> list[InstanceData]:
        (found,) = super().__call__(image, boxes)
        found.novelty = np.array([2.5 if found.keypoints.shape[1] == 2 else 0.5])
        return [found]

    def refusal(self, found: InstanceData) -> str:
        return "unlike the training images" if found.novelty[0] > 1 else ""


def test_what_is_unlike_the_training_is_not_counted(images, tmp_path):
    two, none, three = count(images[:3], Wary(), tmp_path / "out")
    assert (two.count, two.points, two.novelty) == (None, [], 2.5)
    assert format_count(two).endswith("two.png: not counted, unlike the training images")
    assert (none.count, three.count) == (0, 3)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"none_points.jpg", "three_points.jpg"}
    (anyway,) = count(images[:1], Wary(), refuse=False)
    assert (anyway.count, anyway.novelty, anyway.problem) == (2, 2.5, "")


@pytest.mark.parametrize(
    "head",
    [
        dict(type="HeatmapHead"),
        dict(type="SequentialAttentionHead", mode="keypoints", max_points=3),
    ],
)
def test_a_head_that_does_not_count_is_refused(head):
    cfg = Config(dict(model=dict(head=head)), filename=None)
    with pytest.raises(ValueError, match="whose head points at any number of things"):
        load(cfg, "weights.pth")
