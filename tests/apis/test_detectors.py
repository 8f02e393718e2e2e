import sys
import types
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torchvision.models import get_model

from equikpt.apis.detectors import box_source, load_detector
from tests.conftest import REPO

SMALL = "ssdlite320_mobilenet_v3_large"
HORSE, PERSON = 19, 1


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    model = get_model(SMALL, weights=None, weights_backbone=None, num_classes=91)
    path = tmp_path_factory.mktemp("weights") / "small.pth"
    torch.save(model.state_dict(), path)
    return path


def found(labels, scores) -> dict[str, torch.Tensor]:
    boxes = 10.0 * torch.arange(len(labels))[:, None] + torch.tensor([0.0, 1, 20, 31])
    return dict(boxes=boxes, labels=torch.tensor(labels), scores=torch.tensor(scores))


def test_horses_that_are_certain_come_in_order(weights):
    detector = load_detector(SMALL, weights, min_score=0.4, device="cpu")
    shown = []

    def model(batch):
        shown.extend(batch)
        return [found([HORSE, PERSON, HORSE, HORSE], [0.5, 0.99, 0.9, 0.3])]

    detector.model = model
    image = np.zeros((40, 60, 3), np.uint8)
    image[..., 0] = 255  # blue
    boxes = detector(image)
    np.testing.assert_allclose(boxes, [[20, 21, 40, 51, 0.9], [0, 1, 20, 31, 0.5]])
    assert shown[0].shape == (3, 40, 60)
    assert shown[0].amax(dim=(1, 2)).tolist() == [0, 0, 1]  # RGB in 0 to 1


def test_a_detector_finds_its_class(weights):
    detector = load_detector(SMALL, weights, "person", device="cpu")
    detector.model = lambda batch: [found([HORSE, PERSON], [0.9, 0.8])]
    assert detector(np.zeros((9, 9, 3), np.uint8))[:, 4].tolist() == pytest.approx([0.8])
    detector = load_detector(SMALL, weights, min_score=0.0, device="cpu")
    boxes = detector(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8))
    assert boxes.shape[1] == 5
    detector.model = lambda batch: [found([], [])]
    assert detector(np.zeros((9, 9, 3), np.uint8)).shape == (0, 5)


def test_weights_in_the_cache_of_torch_are_found(weights, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(FileNotFoundError, match="ssdlite320"):
        load_detector(SMALL, device="cpu")
    (tmp_path / "checkpoints").mkdir()
    cached = tmp_path / "checkpoints/ssdlite320_mobilenet_v3_large_coco-a79551df.pth"
    cached.write_bytes(weights.read_bytes())
    assert load_detector(SMALL, device="cpu").label == HORSE


def test_mistakes_are_sentences(weights, tmp_path):
    with pytest.raises(ValueError, match=r"one of torchvision's fasterrcnn.*got 'yolo'"):
        load_detector("yolo", weights)
    with pytest.raises(ValueError, match="'hrose'"):
        load_detector(SMALL, weights, "hrose")
    with pytest.raises(ValueError, match="score of 0 to 1, got 30"):
        load_detector(SMALL, weights, min_score=30)
    torch.save(dict(other=torch.zeros(3)), tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth"):
        load_detector(SMALL, tmp_path / "other.pth")


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "rtmdet.py"
    path.write_text("")
    return path


def test_a_detector_of_mmdet(config, weights, monkeypatch):
    """Against the three calls that mmdet has for it, where mmdet is not installed."""
    boxes = np.array([[1.0, 2, 30, 40], [3, 4, 50, 60], [5, 6, 7, 8], [3, 56, 9, 60]])
    instances = SimpleNamespace(
        bboxes=boxes, scores=np.array([0.6, 0.8, 0.9, 0.9]), labels=np.array([1, 1, 0, 1])
    )
    instances.cpu = instances.numpy = lambda: instances
    model = SimpleNamespace(cfg={}, dataset_meta=dict(classes=("dog", "horse")))
    apis = types.ModuleType("mmdet.apis")
    apis.init_detector = lambda *arguments, device: model
    apis.inference_detector = lambda model, image: SimpleNamespace(pred_instances=instances)
    transforms = types.ModuleType("mmdet.datasets.transforms")
    datasets = types.ModuleType("mmdet.datasets")
    datasets.transforms = transforms
    mmdet = types.ModuleType("mmdet")
    mmdet.apis = apis
    for module in (mmdet, apis, datasets, transforms):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    detector = load_detector(str(config), weights, device="cpu")
    np.testing.assert_allclose(
        detector(np.zeros((55, 99, 3), np.uint8)), [[3, 4, 50, 55, 0.8], [1, 2, 30, 40, 0.6]]
    )


def test_without_mmdet_there_is_a_way(config, weights, monkeypatch):
    monkeypatch.setitem(sys.modules, "mmdet", None)
    with pytest.raises(ImportError, match=r"pip install 'equikpt\[mmdet\]', or give a name"):
        load_detector(str(config), weights)
    with pytest.raises(FileNotFoundError):
        load_detector(str(config))
    with pytest.raises(FileNotFoundError, match=r"gone\.py"):
        load_detector("gone.py", weights)


def test_mmdet_itself_takes_an_image(tmp_path):
    pytest.importorskip("mmdet")
    from mmdet.apis import init_detector

    config = str(REPO / "benchmarks/configs/rtmdet_tiny_horse.py")
    torch.manual_seed(0)
    state = init_detector(config, device="cpu").state_dict()
    weights = tmp_path / "random.pth"
    torch.save(dict(state_dict=state, meta=dict(dataset_meta=dict(classes=("horse",)))), weights)
    detector = load_detector(config, weights, min_score=0.0, device="cpu")
    boxes = detector(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))
    assert len(boxes) > 0
    assert (boxes[:, :4] >= 0).all()
    assert (boxes[:, :4] <= [64, 48, 64, 48]).all()
    assert (np.diff(boxes[:, 4]) <= 0).all()
    with pytest.raises(ValueError, match="'cow'"):
        load_detector(config, weights, "cow", device="cpu")


IMAGE = np.zeros((9, 12, 3), np.uint8)


def test_the_first_source_that_is_given_counts():
    def detector(image):
        return np.full((1, 5), image.shape[1])

    labels = SimpleNamespace(of=lambda path: SimpleNamespace(boxes=str(path)))
    path = Path("a.jpg")
    assert box_source()(path, IMAGE) is None
    assert box_source(labels=labels)(path, IMAGE) == "a.jpg"
    assert (box_source(detector=detector, labels=labels)(path, IMAGE) == 12).all()
    by_hand = box_source([[1, 2, 3, 4], [5, 6, 7, 8]], None, labels)
    assert by_hand(path, IMAGE).tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
