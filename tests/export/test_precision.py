import json
from dataclasses import replace

import numpy as np
import onnx
import pytest

from equikpt.apis.box_predictor import BoxPredictor
from equikpt.export import precision
from equikpt.export.graphs.topdown import KeypointGraph
from equikpt.export.metadata import describe
from equikpt.export.model import Exported
from equikpt.export.onnx_file import set_metadata, to_onnx, write_onnx
from equikpt.export.precision import Drop, Sample, export_int8, measure_drop, quantise
from equikpt_runtime.backends import load_network
from equikpt_runtime.crops import Cropper
from equikpt_runtime.metadata import Description

SIDE = 128


@pytest.fixture(scope="module")
def exported(tiny, tmp_path_factory) -> Exported:
    cfg, checkpoint = tiny(records=False)
    predictor = BoxPredictor(cfg, checkpoint, device="cpu")
    graph = KeypointGraph(predictor, cfg, flip_test=False)
    metadata = describe(predictor, "keypoints", graph.input())
    path = tmp_path_factory.mktemp("float32") / "model.onnx"
    set_metadata(proto := to_onnx(graph), metadata)
    write_onnx(proto, path)
    return Exported(path, metadata, ["keypoints", "scores"])


@pytest.fixture(scope="module")
def crops() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (1, SIDE, SIDE, 3), dtype=np.uint8) for _ in range(3)]


@pytest.fixture
def samples(exported, crops) -> list[Sample]:
    """Instances that the file finds to the bit, in images twice as large as their crops."""
    run, given = load_network(exported.path), exported.metadata.input
    cropper, box = Cropper(given["size"], given["crop"]), np.array([20, 20, 320, 320.0])
    crop = cropper.crop((400, 400, 3), box)
    return [
        Sample(
            *(each, crop, cropper.to_image(run(each)["keypoints"].astype(float), [crop])[0]),
            *(np.ones(26), 300.0),
        )
        for each in crops
    ]


def test_backbone_and_neck_compute_in_8_bits_and_the_rest_does_not(
    exported, crops, tmp_path, caplog
):
    quantise(exported.path, tmp_path / "int8.onnx", crops)
    assert not caplog.records  # no remark that nobody can act on
    proto = onnx.load(tmp_path / "int8.onnx")
    made_by = {name: node.op_type for node in proto.graph.node for name in node.output}
    kinds = {
        made_by.get(node.input[1], "float") for node in proto.graph.node if node.op_type == "Conv"
    }
    assert kinds == {"DequantizeLinear", "float"}
    names = {each.name for each in proto.graph.initializer}
    assert "model.head.final_layer.weight" in names
    assert not any(name in names for name in precision_weights(exported))
    weights = [
        onnx.numpy_helper.to_array(each)
        for each in proto.graph.initializer
        if each.name.startswith("model.backbone") and each.name.endswith("weight_quantized")
    ]
    assert len(weights) > 10
    assert max(np.abs(each.astype(int)).max() for each in weights) <= 64  # 7 bits


def precision_weights(exported: Exported) -> list[str]:
    proto = onnx.load(exported.path)
    return [node.input[1] for node in precision.network_nodes(proto) if node.op_type == "Conv"]


def test_the_loss_is_that_of_pck(exported, samples):
    given = exported.metadata.input
    same = measure_drop(exported.path, exported.path, samples, given)
    assert (same.pck, same.pck_float32, same.instances, same.median_px) == (1, 1, 3, 0)
    far = replace(samples[0], gt=samples[0].gt + [16, 0])  # 0.05 of the side is 15 px
    assert measure_drop(exported.path, exported.path, [far, *samples[1:]], given).pck == (
        pytest.approx(2 / 3)
    )
    unlabelled = replace(far, visibility=np.zeros(26))
    assert measure_drop(exported.path, exported.path, [unlabelled, *samples], given).pck == 1


@pytest.mark.parametrize("pck", [0.794, 0.796])
def test_8_bits_are_written_where_the_loss_is_small(
    exported, samples, tiny, tmp_path, monkeypatch, pck
):
    monkeypatch.setattr(precision, "labelled", lambda *_: samples)
    monkeypatch.setattr(precision, "measure_drop", lambda *_: Drop(pck, 0.8, 93, 1.5))
    out, cfg = tmp_path / "int8.onnx", tiny(records=False)[0]
    if pck < 0.795:
        with pytest.raises(ValueError, match=r"0\.8000, 8 bits have 0\.7940 on 93 validation"):
            export_int8(exported, out, cfg)
        assert not list(tmp_path.iterdir())
        return
    written, _ = export_int8(exported, out, cfg)
    assert written.path == out
    plain = Description.read(out).plain
    assert plain == json.loads(written.metadata.to_json())
    assert plain["precision"] == "int8"
    assert plain["parity"] == dict(pck=pck, pck_float32=0.8, instances=93)
    with pytest.raises(ValueError, match="got int8 of keypoints"):
        export_int8(written, tmp_path / "again.onnx", cfg)
    with pytest.raises(FileExistsError):
        export_int8(exported, out, cfg)


def test_without_images_nothing_is_quantised(exported, tiny, tmp_path):
    cfg = tiny(records=False)[0]
    cfg = type(cfg)(cfg.to_dict())
    cfg.val_dataloader.dataset.data_root = str(tmp_path)
    with pytest.raises(FileNotFoundError, match="val images"):
        export_int8(exported, tmp_path / "int8.onnx", cfg)


def test_openvino_gets_the_same_network_and_description(exported, crops, tmp_path):
    pytest.importorskip("openvino", reason="needs openvino")
    out = precision.write_openvino(exported.path, tmp_path / "model.xml")
    assert Description.read(out).plain == json.loads(exported.metadata.to_json())
    np.testing.assert_allclose(
        load_network(out)(crops[0])["keypoints"],
        load_network(exported.path)(crops[0])["keypoints"],
        rtol=1e-3,
        atol=0.01,
        equal_nan=True,
    )
    with pytest.raises(ValueError, match="backend openvino for"):
        load_network(out, "onnxruntime")
    with pytest.raises(FileExistsError):
        precision.write_openvino(exported.path, out)
    with pytest.raises(ValueError, match=r"ends in \.xml"):
        precision.write_openvino(exported.path, tmp_path / "model.ir")
