import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from equikpt_runtime.detectors import (
    COCO_CATEGORIES,
    COCO_CLASSES,
    STRIDES_PX,
    Detector,
    decode_yolox,
)

HORSE = COCO_CLASSES.index("horse")


def write(path, outputs: dict[str, np.ndarray], shape=(1, 3, 640, 640)):
    """Write a network that finds the same in every image."""
    nodes, held, infos = [], [], []
    for name, value in outputs.items():
        kind = TensorProto.INT64 if value.dtype == np.int64 else TensorProto.FLOAT
        held.append(numpy_helper.from_array(value, f"{name}_value"))
        nodes.append(helper.make_node("Identity", [f"{name}_value"], [name]))
        infos.append(helper.make_tensor_value_info(name, kind, value.shape))
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "found", [given], infos, held)
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


IMAGE = np.zeros((240, 320, 3), np.uint8)  # fits into 640 x 640 at twice its size
BOXES = np.array([[20, 40, 220, 240], [0, 0, 700, 300], [2, 2, 50, 50]], np.float32)
SCORES = np.array([0.6, 0.9, 0.99], np.float32)
EXPECTED = [[0, 0, 320, 150, 0.9], [10, 20, 110, 120, 0.6]]


def test_rtmdet(tmp_path):
    outputs = {
        "dets": np.column_stack([BOXES, SCORES])[None],
        "labels": np.array([[HORSE, HORSE, 0]]),
    }
    path = write(tmp_path / "d.onnx", outputs)
    assert Detector(path)(IMAGE) == pytest.approx(np.array(EXPECTED))
    assert len(Detector(path, min_score=0.7)(IMAGE)) == 1
    assert len(Detector(path, label=0)(IMAGE)) == 1
    assert len(Detector(path, label="cat")(IMAGE)) == 0


@pytest.mark.parametrize("shape", [(3, "H", "W"), (1, 3, 640, 640)], ids=["open", "fixed"])
def test_torchvision(tmp_path, shape):
    horse = COCO_CATEGORIES[HORSE]
    assert horse == 19
    outputs = {"boxes": BOXES, "labels": np.array([horse, horse, 1]), "scores": SCORES}
    found = Detector(write(tmp_path / "d.onnx", outputs, shape))(IMAGE)
    whole = [[0, 0, 320, 240, 0.9], [20, 40, 220, 240, 0.6]]
    assert found == pytest.approx(np.array(whole if "H" in shape else EXPECTED))


def yolox_rows(box: tuple, score: float, label: int) -> np.ndarray:
    """Rows for 64 x 64 px, one of which has a box: x and y of its middle, width and height, px."""
    rows = np.zeros((64 + 16 + 4, 5 + 80), np.float32)
    middle_x, middle_y, width, height = box
    index, stride = 64 + 4 * 1 + 2, STRIDES_PX[1]  # column 2 of row 1 of the second grid
    rows[index, :4] = (
        *(middle_x / stride - 2, middle_y / stride - 1),
        *(np.log(width / stride), np.log(height / stride)),
    )
    rows[index, 4], rows[index, 5 + label] = score, 0.9
    return rows


def test_yolox_is_decoded_and_doubles_are_left_out(tmp_path):
    rows = yolox_rows((30, 20, 40, 10), 1.0, HORSE)
    rows[0] = rows[70]  # the same in the first cell of the first grid: there it is elsewhere
    rows[0, :4] = (30.5 / 8, 20 / 8, np.log(40 / 8), np.log(10 / 8))
    rows[0, 4] = 0.8
    path = write(tmp_path / "d.onnx", {"output": rows[None]}, (1, 3, 64, 64))
    found = Detector(path)(np.zeros((64, 64, 3), np.uint8))
    assert found == pytest.approx(np.array([[10, 15, 50, 25, 0.9]]), rel=1e-5)
    assert len(decode_yolox(rows, (64, 64), HORSE, 0.95)[0]) == 0
    with pytest.raises(ValueError, match="expected 84 rows"):
        decode_yolox(rows[:50], (64, 64), HORSE, 0.5)


def test_what_is_no_detector_or_class_is_refused(tmp_path):
    outputs = {"a": np.zeros(1, np.float32), "b": np.zeros(1, np.float32)}
    with pytest.raises(ValueError, match="it has a, b"):
        Detector(write(tmp_path / "d.onnx", outputs))
    nothing = {"dets": np.zeros((1, 0, 5), np.float32), "labels": np.zeros((1, 0), np.int64)}
    path = write(tmp_path / "e.onnx", nothing)
    with pytest.raises(ValueError, match="got 'unicorn'"):
        Detector(path, "unicorn")
    with pytest.raises(ValueError, match="score of 0 to 1"):
        Detector(path, min_score=2)
    assert Detector(path)(IMAGE).shape == (0, 5)
