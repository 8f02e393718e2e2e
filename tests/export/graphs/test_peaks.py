import numpy as np
import pytest

from equikpt.export.graphs import graph_for
from equikpt.export.parity import measure
from tests.export.graphs.conftest import CHANNELS, small_predictor
from tests.export.graphs.test_ruler import run_by

CONFIG = "experimental/smoke/hm_litehrnet_coco-whole-256x256"
NECK = dict(type="FinestLevelFPN", in_channels=CHANNELS, out_channels=16)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    from equikpt.config_checks.options import load_config

    assert load_config(CONFIG).model.head.type == "MultiPeakHead"
    return small_predictor(CONFIG, tmp_path_factory.mktemp("peaks"), in_channels=16, neck=NECK)


@pytest.mark.parametrize("flip_test", [False, True], ids=["plain", "flipped"])
def test_it_gives_what_the_predictor_gives(flip_test, whole, views, outputs_of):
    predictor, cfg = whole
    graph = graph_for(predictor, cfg, flip_test=flip_test)
    found = measure(outputs_of(graph), graph.references(predictor, views), "the predictor")
    assert found.max_px < 0.01
    assert found.others["scores"] < 1e-5
    assert graph.input()["crop"] == dict(rule="fit")


def test_what_is_no_peak_has_no_place(whole, views, outputs_of):
    predictor, cfg = whole
    graph = graph_for(predictor, cfg)
    crop, expected = next(graph.references(predictor, views))
    got = outputs_of(graph)(crop)
    assert (expected["scores"] > 0).any()
    assert np.array_equal(np.isnan(got["keypoints"]).any(axis=-1), got["scores"] == 0)


def test_another_order_of_types_is_seen(whole, views, outputs_of):
    predictor, cfg = whole
    graph = graph_for(predictor, cfg, flip_test=False)
    expected = list(graph.references(predictor, views))
    run = outputs_of(graph)
    turned = measure(
        lambda image: {name: each[:, ::-1] for name, each in run(image).items()}, expected, "wrong"
    )
    assert turned.max_px > 1


def test_another_resize_is_refused(whole):
    predictor, cfg = whole
    other = cfg.copy()
    for step in other.test_dataloader.dataset.pipeline:
        if step["type"] == "WholeImageResize":
            step["resize_mode"] = "expand"
    with pytest.raises(ValueError, match="WholeImageResize"):
        graph_for(predictor, other)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_its_file_finds_the_peaks(runtime, whole, views):
    predictor, cfg = whole
    graph = graph_for(predictor, cfg, flip_test=True)
    found = measure(run_by(runtime, graph), graph.references(predictor, views), runtime)
    # random weights have flat maps, where another of two peaks may be the last that is kept
    assert found.mean_px < 0.05
