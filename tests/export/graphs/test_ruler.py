import cv2
import numpy as np
import pytest
import torch
from mmpose.structures.bbox import get_warp_matrix

from equikpt.export.graphs import graph_for
from equikpt.export.graphs.ruler import crop
from equikpt.export.onnx_file import to_onnx
from equikpt.export.parity import measure
from equikpt_runtime.boxes import whole_image
from tests.export.graphs.conftest import small_predictor

COARSE = "smoke/td-hm_efficientnet-lite0_p1p2-512x512"
FINE = "smoke/td-hm_efficientnet-lite0_p1p2-refine-192x192"


def both_crops(shape, center, side, size):
    """Ours and OpenCV's, (size, size, 3), of noise of a shape."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    center, scale = np.float32(center), np.float32([side, side])
    matrix = get_warp_matrix(center, scale, 0, (size, size))
    theirs = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR)
    ours = crop(torch.from_numpy(image), torch.tensor(center), torch.tensor(scale), (size, size))
    return ours.numpy().astype(int), theirs.astype(int)


@pytest.mark.parametrize("shape", [(301, 237), (237, 301), (1000, 806)], ids=str)
def test_whole_images_are_cropped_as_opencv_crops_them(shape):
    height, width = shape
    center = ((width - 1) / 2, (height - 1) / 2)
    ours, theirs = both_crops(shape, center, max(height, width) - 1, 128)
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("center", [(118.3, 97.7), (3.0, 4.5), (400.0, 90.0)], ids=str)
def test_squares_are_cropped_as_opencv_crops_them(center):
    """Where float32 rounds a position the other way, a row or a column is a step of 1/32 off."""
    ours, theirs = both_crops((301, 237), center, 38.528, 192)
    assert (ours != theirs).mean() < 0.02
    assert np.abs(ours - theirs).max() <= 8


def test_another_place_is_seen():
    ours, _ = both_crops((301, 237), (118.3, 97.7), 38.528, 192)
    _, theirs = both_crops((301, 237), (118.4, 97.7), 38.528, 192)
    assert (ours != theirs).mean() > 0.5


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ruler")
    return small_predictor(COARSE, folder), small_predictor(FINE, folder)


@pytest.fixture
def films():
    rng = np.random.default_rng(4)
    images = [
        cv2.resize(rng.integers(0, 256, (24, 20, 3), dtype=np.uint8), size, None)
        for size in ((212, 260), (301, 190))
    ]
    return [(image, whole_image(image)) for image in images]


@pytest.mark.parametrize("count", [1, 2], ids=["coarse", "both"])
def test_it_gives_what_the_finder_gives(count, stages, films, outputs_of):
    (predictor, cfg), fine = stages
    graph = graph_for(predictor, cfg, refine=fine if count == 2 else None)
    found = measure(outputs_of(graph), graph.references(predictor, films), "the finder")
    assert found.images == 2
    assert found.max_px < 0.05
    assert found.others["scores"] < 1e-3
    assert graph.facts()["ruler"] == dict(mm=10.0, stages=count)
    assert graph.input()["kind"] == "image"


def test_a_second_stage_of_another_square_is_seen(stages, films, outputs_of):
    (predictor, cfg), fine = stages
    graph = graph_for(predictor, cfg, refine=fine)
    expected = list(graph.references(predictor, films))
    graph.finder.crop_fraction *= 1.1
    assert measure(outputs_of(graph), expected, "the finder").max_px > 0.1


def test_stages_that_do_not_fit_are_refused(stages):
    coarse, fine = stages
    with pytest.raises(ValueError, match="RulerMarkDataset"):
        graph_for(*coarse, refine=coarse)
    with pytest.raises(ValueError, match="first stage"):
        graph_for(*fine, refine=fine)


def test_the_second_stage_alone_is_a_model_of_boxes(stages):
    assert graph_for(*stages[1]).input()["crop"]["rule"] == "box"


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_its_file_takes_radiographs_of_any_size(runtime, stages, films, tmp_path):
    (predictor, cfg), fine = stages
    graph = graph_for(predictor, cfg, refine=fine)
    found = measure(run_by(runtime, graph), graph.references(predictor, films), runtime)
    assert found.max_px < 0.05


def run_by(runtime, graph):
    """Run a graph's file on an array."""
    library = pytest.importorskip(runtime)
    proto = to_onnx(graph)
    content, names = proto.SerializeToString(), [each.name for each in proto.graph.output]
    if runtime == "onnxruntime":
        session = library.InferenceSession(content)
        return lambda image: dict(zip(names, session.run(None, {"image": image}), strict=True))
    core = library.Core()
    compiled = core.compile_model(
        core.read_model(content, b""), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )

    def run(image):
        results = compiled(image)
        return {name: results[index] for index, name in enumerate(names)}

    return run
