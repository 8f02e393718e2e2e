import numpy as np
import pytest
import torch

from equikpt.apis.box_predictor import BoxPredictor
from equikpt.export.graphs.rtmlib import RtmlibGraph
from tests.export.conftest import HEATMAPS, SIMCC, UNTRAINED
from tests.export.graphs.conftest import small_predictor

rtmlib = pytest.importorskip("rtmlib", reason="pip install --no-deps rtmlib")


@pytest.fixture
def by_rtmlib(monkeypatch):
    """rtmlib's classes run the graph itself instead of a file."""

    def readers(graph):
        def make(cls):
            def build(path, model_input_size, backend, device):
                reader = object.__new__(cls)
                reader.model_input_size, reader.to_openpose = model_input_size, False
                reader.mean, reader.std = graph.rtmlib_mean.flatten(), graph.rtmlib_std.flatten()
                reader.mean, reader.std = reader.mean.numpy(), reader.std.numpy()
                reader.inference = run
                return reader

            return build

        def run(image):
            planes = torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32))
            with torch.no_grad():
                return [each.numpy() for each in graph(planes[None]).values()]

        for name in ("RTMPose", "ViTPose"):
            monkeypatch.setattr(rtmlib, name, make(getattr(rtmlib, name)))

    return readers


@pytest.mark.parametrize(
    ("name", "reader"), [(HEATMAPS, "ViTPose"), (SIMCC, "RTMPose")], ids=["heatmaps", "simcc"]
)
def test_rtmlib_reads_what_the_model_says(name, reader, tiny, views, by_rtmlib):
    cfg, checkpoint = tiny(name)
    predictor = BoxPredictor(cfg, checkpoint, "cpu")
    graph = RtmlibGraph(predictor, cfg, flip_test=False).eval()
    assert graph.input()["reader"] == reader
    by_rtmlib(graph)
    found = graph.measure("", predictor, views)
    # random weights point at borders, where ViTPose's decoding is off by up to a cell of 4 px
    assert found.others["median_px_of_decoding"] < (0.5 if reader == "RTMPose" else 4)
    if reader == "RTMPose":  # whose crops are those of training
        assert found.others["median_px"] < 0.5
    assert found.images == 2


def test_drawn_heatmaps_are_read_to_a_hundredth(tiny, by_rtmlib, monkeypatch):
    cfg, checkpoint = tiny(HEATMAPS)
    predictor = BoxPredictor(cfg, checkpoint, "cpu")
    graph = RtmlibGraph(predictor, cfg, flip_test=False).eval()
    count, width = len(graph.flip_indices), graph.size[0]
    rng = np.random.default_rng(0)
    points = torch.from_numpy(rng.uniform(24, width - 24, (1, count, 2)).astype(np.float32))
    scores = torch.linspace(0.1, 1, count)[None]
    scores[0, UNTRAINED], points[0, UNTRAINED] = 0, torch.nan
    monkeypatch.setattr(
        type(graph).__bases__[0], "forward", lambda *_: dict(keypoints=points, scores=scores)
    )
    by_rtmlib(graph)
    reader = rtmlib.ViTPose("", tuple(graph.size), "", "")
    image = np.zeros((300, 300, 3), np.uint8)
    got, got_scores = reader(image, [np.array([50.0, 50, 150, 150])])
    # the box of 125 px around (100, 100)
    expected = points[0].numpy() / width * 125 + 100 - 62.5
    known = np.arange(count) != UNTRAINED
    assert np.abs(got[0] - expected)[known].max() < 0.01
    assert got_scores[0] == pytest.approx(scores[0].numpy(), abs=1e-5)


def test_other_boxes_are_refused(tmp_path):
    predictor, cfg = small_predictor("smoke/td-hm_efficientnet-lite0_p1p2-512x512", tmp_path)
    with pytest.raises(ValueError, match="padded"):
        RtmlibGraph(predictor, cfg)
