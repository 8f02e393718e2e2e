import json
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from equikpt.apis import Predictor
from equikpt.export import export_model
from equikpt.export.graphs import KeypointGraph
from equikpt.export.model import Trained, _spread, views_of
from equikpt.export.onnx_file import write_onnx
from equikpt_runtime.backends import load_network
from equikpt_runtime.metadata import Description
from tests.conftest import REPO
from tests.export.conftest import HEATMAPS, KEYPOINTS, SIMCC, UNTRAINED


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Three images."""
    path = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(5)
    for index in range(3):
        blots = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        cv2.imwrite(str(path / f"{index}.png"), cv2.resize(blots, (160, 120)))
    return path


@pytest.fixture(scope="module", params=[HEATMAPS, SIMCC], ids=["heatmaps", "simcc"])
def exported(request, tiny, folder, tmp_path_factory):
    cfg, checkpoint = tiny(request.param)
    out = tmp_path_factory.mktemp("exported") / "model.onnx"
    return export_model(cfg, out, checkpoint, images=folder)


def test_the_file_is_whole_and_equals_the_model(exported):
    proto = onnx.load(str(exported.path))
    onnx.checker.check_model(proto, full_check=True)
    assert [each.version for each in proto.opset_import if not each.domain] == [18]
    assert proto.ir_version <= 10  # onnxruntime 1.20
    assert not [each.name for each in proto.graph.initializer if each.external_data]
    names = {each.op_type for each in proto.graph.node}
    assert names.isdisjoint({"BatchNormalization", "Dropout", "Loop", "If"})
    assert [path.name for path in exported.path.parent.iterdir()] == ["model.onnx"]
    parity = exported.metadata.parity
    assert parity["images"] == 3
    assert parity["max_px"] <= 0.02
    assert parity["against"].startswith("torch")
    assert max(parity["others"].values()) < 1e-3


@pytest.mark.parametrize("count", [1, 2, 8])
def test_it_takes_any_number_of_crops(exported, count):
    model = load_network(exported.path)
    width, height = exported.metadata.input["size"]
    crops = np.random.default_rng(6).integers(0, 256, (count, height, width, 3), np.uint8)
    found = model(crops)
    assert list(found) == ["keypoints", "scores", "visibility", "radius", "novelty"]
    shapes = {name: each.shape for name, each in found.items()}
    assert shapes["keypoints"] == (count, KEYPOINTS, 2)
    assert shapes["visibility"] == (count, KEYPOINTS, 2)
    assert shapes["scores"] == shapes["radius"] == (count, KEYPOINTS)
    assert shapes["novelty"] == (count,)
    assert all(each.dtype == np.float32 for each in found.values())
    for index, crop in enumerate(crops):
        alone = model(crop[None])
        for name, each in alone.items():
            np.testing.assert_allclose(each[0], found[name][index], rtol=1e-3, atol=1e-3)


def test_the_page_for_other_programs_is_right(exported, tiny, folder):
    blocks = re.findall(r"```python\n(.*?)```", (REPO / "docs/export.md").read_text(), re.DOTALL)
    names: dict = {}
    exec(blocks[0].replace("model.onnx", str(exported.path)), names)  # noqa: S102 - our own page
    simcc = exported.metadata.checkpoint["config"].startswith("rtmpose")
    predictor = Predictor(*tiny(SIMCC if simcc else HEATMAPS), device="cpu", refuse=False)
    image, box = cv2.imread(str(folder / "0.png")), (20, 10, 130, 100)
    (expected,) = predictor(image, [box])
    found = names["predict"](image, box)
    np.testing.assert_allclose(found["keypoints"], expected.keypoints, atol=0.05)
    np.testing.assert_allclose(found["scores"], expected.scores, atol=1e-3)


def test_the_metadata_say_all_that_a_reader_needs(exported):
    plain = Description.read(exported.path).plain
    assert plain == json.loads(exported.metadata.to_json())
    assert plain["schema"] == 1
    assert plain["task"] == "keypoints"
    assert plain["name"] == "horse26"
    assert plain["keypoints"][0] == "nose"
    assert len(plain["colors"]["skeleton"]) == len(plain["skeleton"])
    assert plain["trained"].count(False) == 1
    assert not plain["trained"][UNTRAINED]
    assert plain["input"]["color"] == "RGB"
    assert plain["input"]["reading"] == "image"
    assert plain["uncertainty"]["level"] == 0.9
    assert plain["uncertainty"]["factors"][3] == [None] * 3
    assert plain["novelty"]["limit"] == 1.5
    assert len(plain["checkpoint"]["sha256"]) == 64
    assert plain["checkpoint"]["epoch"] == 3
    assert plain["flip_test"]


def test_validation_images_come_with_their_boxes(tiny, sample_data):
    cfg, checkpoint = tiny()
    cfg = cfg.copy()
    cfg.val_dataloader.dataset.data_root = str(sample_data)
    cfg.train_dataloader.dataset.data_root = str(sample_data)
    trained = Trained.load(cfg, checkpoint)
    views = views_of(trained, None, 4)
    assert len(views) == 4
    for image, box in views:
        assert image.ndim == 3
        assert np.shape(box) == (4,)
        assert (box[2:] > box[:2]).all()
    assert trained.facts["training"]["images"] == 12
    assert _spread(3, 50) == [0, 1, 2]
    assert _spread(100, 3) == [0, 50, 99]


def test_without_images_nothing_is_exported(tiny, tmp_path):
    cfg, checkpoint = tiny()
    cfg = cfg.copy()
    cfg.val_dataloader.dataset.data_root = str(tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match="--no-parity"):
        export_model(cfg, tmp_path / "model.onnx", checkpoint)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_differs_is_not_left(tiny, folder, tmp_path, monkeypatch):
    cfg, checkpoint = tiny()
    shifted = KeypointGraph.expected

    def expected(self, packed):
        outputs = shifted(self, packed)
        return outputs | dict(keypoints=outputs["keypoints"] + [0.2, 0])

    monkeypatch.setattr(KeypointGraph, "expected", expected)
    with pytest.raises(ValueError, match=r"0\.2 px on 3 images.*nothing was written"):
        export_model(cfg, tmp_path / "model.onnx", checkpoint, images=folder)
    assert list(tmp_path.iterdir()) == []


def test_wrong_calls(tiny, tmp_path, monkeypatch):
    cfg, checkpoint = tiny()
    with pytest.raises(ValueError, match=r"\.onnx"):
        export_model(cfg, tmp_path / "model.pt", checkpoint)
    (tmp_path / "model.onnx").write_text("mine")
    with pytest.raises(FileExistsError, match="--overwrite"):
        export_model(cfg, tmp_path / "model.onnx", checkpoint)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r"requirements/export\.txt"):
        export_model(cfg, tmp_path / "other.onnx", checkpoint)


def test_a_file_of_more_than_2_gb_is_refused(tmp_path):
    class Huge:
        def ByteSize(self) -> int:  # noqa: N802 - protobuf's name
            return 3 * 10**9

    with pytest.raises(ValueError, match="3.0 GB"):
        write_onnx(Huge(), tmp_path / "model.onnx")
