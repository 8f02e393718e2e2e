import numpy as np
import pytest
import torch

from equikpt.export.graphs import graph_for
from equikpt.export.graphs.points import PointsGraph
from equikpt.export.graphs.sequence import sequence
from equikpt.export.parity import measure
from equikpt.models.sequential_attention_head import SequentialAttentionHead
from equikpt_runtime.boxes import whole_image
from tests.export.graphs.conftest import small_predictor
from tests.export.graphs.test_ruler import run_by

CONFIG = "smoke/sequential_efficientnet-lite0_fsc147-384x384"
NAMED = "experimental/smoke/sequential_efficientnet-lite0_horse26-256x256"
CODEC = dict(type="PointSequence", input_size=(96, 96), max_points=5, order="random")


@pytest.mark.parametrize("threshold", [0.2, 0.9999], ids=["ends early", "ends at the most"])
@pytest.mark.parametrize("mode", ["points", "keypoints"])
def test_its_steps_are_those_of_the_head(mode, threshold):
    torch.manual_seed(0)
    head = SequentialAttentionHead(
        *(16, 5, CODEC),
        mode=mode,
        attention=dict(width=32, heads=2, num_glimpses=3),
        done_threshold=threshold,
        done_balance="balanced",
    ).eval()
    feats = [torch.randn(3, 16, 9, 7)]
    with torch.no_grad():
        coords, scores, over = head(feats)
        run = sequence(head, feats)
    steps = coords.shape[1]
    assert torch.allclose(run.coords[:, :steps], coords, atol=1e-5)
    assert torch.allclose(run.scores[:, :steps], scores, atol=1e-5)
    if mode == "keypoints":
        assert run.coords.shape == (3, 5, 2)
        return
    assert torch.allclose(run.over[:, : over.shape[1]], over, atol=1e-5)
    assert run.over.shape == (3, 6)
    assert run.over[:, over.shape[1] :].eq(1).all()
    assert run.coords[:, over.shape[1] :].isnan().all()
    assert run.scores[:, over.shape[1] :].eq(0).all()


@pytest.fixture
def views(views):
    return [(image, whole_image(image)) for image, _ in views]


@pytest.fixture(scope="module")
def counting(tmp_path_factory):
    return small_predictor(CONFIG, tmp_path_factory.mktemp("p"), decoder=CODEC, max_points=5)


def test_it_gives_what_the_head_gives(counting, views, outputs_of):
    predictor, cfg = counting
    graph = graph_for(predictor, cfg)
    assert isinstance(graph, PointsGraph)
    found = measure(outputs_of(graph), graph.references(predictor, views), "the head")
    assert found.max_px < 0.01
    assert max(found.others.values()) < 1e-4
    assert graph.input()["crop"] == dict(rule="whole", padding=1.0, udp=False)
    assert graph.facts()["points"] == dict(
        done_threshold=0.5, interval=None, level=0.9, max_points=5
    )


def test_its_points_are_those_of_the_predictor(counting, views, outputs_of):
    predictor, cfg = counting
    graph = graph_for(predictor, cfg)
    for view, (crop, _) in zip(views, graph.references(predictor, views), strict=True):
        (expected,) = predictor(view[0], [view[1]])
        got = outputs_of(graph)(crop)
        count = int((np.append(got["over"][0], 1) >= 0.5).argmax())
        assert count == expected.keypoints.shape[1]
        assert got["scores"][0, :count] == pytest.approx(expected.keypoint_scores[0], abs=1e-4)


def test_a_flip_test_is_refused(counting):
    with pytest.raises(ValueError, match="flip test"):
        graph_for(*counting, flip_test=True)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("name", [CONFIG, NAMED], ids=["points", "keypoints"])
def test_its_file_holds_the_loop(name, runtime, views, tmp_path):
    changes = dict(decoder=CODEC, max_points=5) if name == CONFIG else {}
    predictor, cfg = small_predictor(name, tmp_path, **changes)
    graph = graph_for(predictor, cfg)
    found = measure(run_by(runtime, graph), graph.references(predictor, views), runtime)
    assert found.max_px < 0.01
