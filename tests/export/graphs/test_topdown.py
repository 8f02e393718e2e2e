import numpy as np
import pytest
import torch
from mmpose.models.heads import RegressionHead

from equikpt.apis.box_predictor import BoxPredictor
from equikpt.export.graphs import graph_for
from equikpt.export.graphs.topdown import maps_of_head
from equikpt.export.parity import measure
from tests.export.conftest import HEATMAPS, SIMCC, UNTRAINED

OUTSIDE = {"keypoints_outside"}


def parity_of(graph, predictor, views):
    def run(image):
        with torch.no_grad():
            return {name: each.numpy() for name, each in graph(torch.from_numpy(image)).items()}

    return measure(run, graph.references(predictor, views), "the same")


@pytest.mark.parametrize("flip_test", [False, True], ids=["plain", "flipped"])
@pytest.mark.parametrize("name", [HEATMAPS, SIMCC], ids=["heatmaps", "simcc"])
def test_it_gives_what_the_predictor_gives(name, flip_test, tiny, views):
    cfg, checkpoint = tiny(name)
    predictor = BoxPredictor(cfg, checkpoint, "cpu")
    graph = graph_for(predictor, cfg, flip_test=flip_test, level=0.95).eval()
    found = parity_of(graph, predictor, views)
    assert found.images == 2
    assert found.max_px < 0.01
    # random weights have flat maps, whose keypoints may lie beyond the crop
    assert set(found.others) - OUTSIDE == {"scores", "visibility", "radius", "novelty"}
    assert max(found.others.values()) < 1e-3
    outputs = graph(torch.from_numpy(next(graph.references(predictor, views))[0]))
    assert outputs["keypoints"].isnan().all(dim=-1)[0].nonzero().tolist() == [[UNTRAINED]]
    assert outputs["scores"][0, UNTRAINED] == 0
    assert outputs["visibility"][0, UNTRAINED].tolist() == [0, 0]
    assert outputs["radius"][0, 3] == np.inf


def test_without_records_the_scores_are_the_models_own(tiny, views):
    cfg, checkpoint = tiny(records=False)
    predictor = BoxPredictor(cfg, checkpoint, "cpu")
    graph = graph_for(predictor, cfg).eval()
    assert graph.flip_test  # as the config says
    found = parity_of(graph, predictor, views)
    assert set(found.others) - OUTSIDE == {"scores", "visibility"}
    assert found.max_px < 0.01
    with pytest.raises(ValueError, match="fit for the level"):
        graph_for(predictor, cfg, level=0.5)


def test_a_wrong_flip_is_seen(tiny, views):
    cfg, checkpoint = tiny()
    predictor = BoxPredictor(cfg, checkpoint, "cpu")
    graph = graph_for(predictor, cfg, flip_test=True).eval()
    graph.flip_indices = list(range(len(graph.flip_indices)))
    assert parity_of(graph, predictor, views).max_px > 0.05


def test_the_crop_is_stated(tiny):
    cfg, checkpoint = tiny()
    stated = graph_for(BoxPredictor(cfg, checkpoint, "cpu"), cfg).input()
    assert stated["kind"] == "crop"
    assert stated["size"] == [128, 128]
    assert stated["crop"] == dict(rule="box", padding=1.25, udp=True)


def test_a_head_that_is_not_known_is_refused():
    head = RegressionHead(in_channels=4, num_joints=2)
    with pytest.raises(ValueError, match="RegressionHead"):
        maps_of_head(head)
