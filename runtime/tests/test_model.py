import json
import threading

import cv2
import numpy as np
import pytest

from equikpt_runtime import Model
from equikpt_runtime.images import ImageError
from runtime.tests.tiny_models import NAMES, description, write_model

BACKENDS = ["onnxruntime", "openvino"]
BOX = [10, 10, 60, 90]


@pytest.fixture(params=BACKENDS)
def backend(request) -> str:
    pytest.importorskip(request.param)
    return request.param


@pytest.fixture
def red() -> np.ndarray:
    image = np.zeros((100, 200, 3), np.uint8)
    image[..., 2] = 255
    return image


def pixels(number: int) -> np.ndarray:
    return np.full((80, 60, 3), number, np.uint8)


def test_points_come_back_to_the_image_and_colours_in_their_order(tmp_path, backend, red):
    model = Model(write_model(tmp_path / "m.onnx", description()), backend)
    (found,) = model(red, [[20, 20, 59, 79, 0.5]])
    # 1.25 of the box around its middle (39.5, 49.5), as wide as 48 / 64 of its height
    side = np.array([0.75 * 73.75, 73.75])
    corner = np.array([39.5, 49.5]) - side / 2
    there = np.array([[10, 20], [24, 32], [40, 50]]) / (48, 64) * side + corner
    np.testing.assert_allclose(found.keypoints, there, rtol=1e-5)
    assert found.scores[0] > 0.9
    assert found.scores[1:].max() == 0  # it is red, and the network sees RGB
    assert found.box_score == 0.5
    assert found.box.tolist() == [20, 20, 59, 79]
    assert model.names == NAMES
    assert found.radius is None
    assert not model.has_radii


def test_a_stream_is_as_single_images_whatever_the_batches(tmp_path, red):
    path = write_model(tmp_path / "m.onnx", description())
    rng = np.random.default_rng(0)
    given = []
    for number in range(23):
        count = rng.integers(0, 4)
        boxes = [[2.0, 3.0, 20.0 + 5 * index, 60.0] for index in range(count)]
        given.append((pixels(10 * number), None if number % 7 == 3 else boxes))
    alone = [Model(path, batch_size=1)(*each) for each in given]
    for batch_size in (1, 2, 8, 50):
        streamed = list(Model(path, batch_size=batch_size).stream(given))
        assert [len(each) for each in streamed] == [len(each) for each in alone]
        for one, other in zip(sum(streamed, []), sum(alone, []), strict=True):
            np.testing.assert_allclose(one.keypoints, other.keypoints, rtol=1e-6)
            np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)


def test_few_images_are_taken_before_the_first_is_given(tmp_path):
    model = Model(write_model(tmp_path / "m.onnx", description()), batch_size=2)
    taken = []

    def images():
        for number in range(100):
            taken.append(number)
            yield pixels(number), [] if number < 50 else None  # also where nothing is found

    for count, _ in enumerate(model.stream(images()), start=1):
        assert len(taken) <= count + 2 * 4


def test_a_stream_that_is_left_ends_its_thread(tmp_path):
    model = Model(write_model(tmp_path / "m.onnx", description()))
    before = threading.active_count()
    stream = model.stream((pixels(1), None) for _ in range(1000))
    next(stream)
    assert threading.active_count() == before + 1
    stream.close()
    assert threading.active_count() == before


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    model = Model(write_model(tmp_path / "m.onnx", description()))
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8 no more")
    with pytest.raises(ImageError, match=r"a\.jpg, it is cut"):
        list(model.stream([(pixels(1), None), (tmp_path / "a.jpg", None)]))


UNCERTAINTY = {
    "levels": [0.5, 0.9],
    "factors": [[1, 2], [2, 6], [1, None]],
    "exponent": 1,
    "scores": [0, 1],
    "probabilities": [0, 1],
    "level": 0.9,
}


@pytest.mark.parametrize(
    ("level", "factor"), [(0.9, [1, 1, np.inf]), (0.5, [0.5, 1 / 3, np.inf])], ids=str
)
def test_radii_are_px_of_the_image_at_any_level(tmp_path, red, level, factor):
    about = description(uncertainty=UNCERTAINTY)
    path = write_model(tmp_path / "m.onnx", about, {"radius": np.array([1, 2, 3])})
    (found,) = Model(path, level=level)(red, [BOX])
    assert found.radius == pytest.approx(np.array([1, 2, 3]) * factor * 100 / 64)


@pytest.mark.parametrize("level", [0, 0.95])
def test_a_level_that_labels_say_nothing_of_is_refused(tmp_path, level):
    about = description(uncertainty=UNCERTAINTY)
    path = write_model(tmp_path / "m.onnx", about, {"radius": np.ones(3)})
    with pytest.raises(ValueError, match=r"up to 0\.9"):
        Model(path, level=level)
    with pytest.raises(ValueError, match="this one has none"):
        Model(write_model(tmp_path / "n.onnx", description()), level=0.5)


def test_what_is_unlike_the_training_is_refused(tmp_path, red):
    about = description(novelty={"limit": 1.5, "level": 0.99, "source": ""})
    constant = {"novelty": np.array(1.7), "visibility": np.full((3, 2), 0.25)}
    path = write_model(tmp_path / "m.onnx", about, constant)
    (found,) = Model(path)(red)
    assert found.refused == "unlike the training images (score 1.70, limit 1.50)"
    assert np.isnan(found.keypoints).all()
    assert found.presence is None
    (given,) = Model(path, refuse=False)(red)
    assert not given.refused
    assert given.novelty == pytest.approx(1.7)
    assert given.presence == pytest.approx([0.25] * 3)
    assert given.visibility.tolist() == [0, 0, 0]


def test_peaks_are_instances_of_one_point(tmp_path, red):
    about = description("peaks")
    about["input"]["crop"] = {"rule": "fit"}
    keypoints = np.arange(12).reshape(3, 2, 2)
    scores = np.array([[0.9, 0.5], [0, 0], [0.8, 0]])
    path = write_model(tmp_path / "m.onnx", about, {"keypoints": keypoints, "scores": scores})
    model = Model(path)
    found = model(red)
    given = [np.flatnonzero(np.isfinite(each.keypoints[:, 0])).tolist() for each in found]
    assert given == [[0], [2], [0]]
    assert [each.scores.max() for each in found] == pytest.approx([0.9, 0.8, 0.5])
    assert found[2].keypoints[0] == pytest.approx(
        np.array([2, 3]) * 200 / 48 - [0, 83.333], abs=0.1
    )
    with pytest.raises(ValueError, match="expected no boxes"):
        model(red, [BOX])


@pytest.mark.parametrize(
    ("over", "count", "interval", "complete"),
    [
        ([0, 0.2, 0.6, 0.95, 1], 2, (1, 3), True),
        ([0.6, 1, 1, 1, 1], 0, (0, 1), True),
        ([0, 0, 0, 0, 0.05], 4, (4, 4), False),
    ],
)
def test_points_are_counted_until_it_is_over(tmp_path, red, over, count, interval, complete):
    points = {"done_threshold": 0.5, "interval": [0.1, 0.9], "max_points": 4}
    about = description("points", keypoints=[], skeleton=[], colors={}, points=points)
    constant = {"keypoints": np.ones((4, 2)), "scores": np.ones(4), "over": np.array(over)}
    (found,) = Model(write_model(tmp_path / "m.onnx", about, constant))(red)
    assert len(found.keypoints) == len(found.scores) == count
    assert (found.interval, found.complete) == (interval, complete)


def test_a_ruler_gives_its_scale(tmp_path, red):
    about = description(
        "ruler",
        keypoints=["p1", "p2"],
        ruler={"mm": 10.0},
        uncertainty=UNCERTAINTY | {"factors": [[1, 2], [1, 2]]},
    )
    about["input"] = {"kind": "image", "size": [64, 64], "reading": "radiograph"}
    constant = {"keypoints": [[10, 80], [10, 30]], "scores": [0.9, 0.8], "radius": [3, 4]}
    model = Model(write_model(tmp_path / "m.onnx", about, constant))
    (found,) = model(red)
    assert found.keypoints.tolist() == [[10, 80], [10, 30]]
    assert found.scale == pytest.approx((10 / 50, 10 / 55, 10 / 45))
    assert len(list(model.stream([(red, None)] * 3))) == 3
    cv2.imwrite(
        str(tmp_path / "deep.png"), np.linspace(0, 4000, 10000).reshape(100, 100).astype(np.uint16)
    )
    assert np.ptp(model.read(tmp_path / "deep.png")) == 255


def test_files_that_are_no_models_of_equikpt_say_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="found no such file"):
        Model(tmp_path / "no.onnx")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ValueError, match="damaged or none"):
        Model(tmp_path / "text.onnx")
    with pytest.raises(ValueError, match="no such metadata"):
        Model(write_model(tmp_path / "bare.onnx", None))
    with pytest.raises(ValueError, match="pip install --upgrade"):
        Model(write_model(tmp_path / "newer.onnx", description(schema=2)))
    with pytest.raises(ValueError, match="export the model again"):
        Model(write_model(tmp_path / "broken.onnx", json.dumps(description())[:-40]))
    for text, message in (("<net><rt_info>", "an OpenVINO file"), ("<net/>", "no such metadata")):
        (tmp_path / "text.xml").write_text(text)
        with pytest.raises(ValueError, match=message):
            Model(tmp_path / "text.xml")
    whole = write_model(tmp_path / "m.onnx", description()).read_bytes()
    for cut in (len(whole) // 4, len(whole) - 100):
        (tmp_path / "cut.onnx").write_bytes(whole[:cut])
        with pytest.raises(ValueError, match="copy or export it again"):
            Model(tmp_path / "cut.onnx")


def test_options_out_of_range_are_refused(tmp_path):
    path = write_model(tmp_path / "m.onnx", description())
    for options, message in (
        (dict(backend="tflite"), "expected a backend of"),
        (dict(backend="cuda"), "that this ONNX Runtime has"),
        (dict(precision="bfloat16"), "expected the backend openvino"),
        (dict(batch_size=0), "batch_size of at least 1"),
        (dict(threads=0), "at least one thread"),
    ):
        with pytest.raises(ValueError, match=message):
            Model(path, **options)
