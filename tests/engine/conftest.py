from types import SimpleNamespace

import pytest
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

import equikpt.register  # noqa: F401


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope("mmpose")


@pytest.fixture(scope="session")
def unlabelled(sample_data, tmp_path_factory):
    """A folder with turned and enlarged images of the test split."""
    import cv2

    folder = tmp_path_factory.mktemp("unlabelled")
    for number, path in enumerate(sorted((sample_data / "images/test").iterdir())):
        image = cv2.imread(str(path))
        height, width = image.shape[:2]
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), 25, 1.4)
        cv2.imwrite(str(folder / f"{number}.png"), cv2.warpAffine(image, turn, (width, height)))
    return folder


def make_runner(**attributes) -> SimpleNamespace:
    """As much of a runner as hooks read; ``lines`` collects the log, ``images`` the visualizer's.

    An image is its name, itself (RGB) and its step.
    """
    lines: list[str] = []
    images: list[tuple] = []
    stock = dict(
        rank=0, iter=0, epoch=0, _resume=False, lines=lines, images=images,
        logger=SimpleNamespace(info=lines.append, warning=lines.append),
        message_hub=MessageHub("fake"),
        visualizer=SimpleNamespace(
            add_image=lambda name, image, step: images.append((name, image, step))
        ),
    )  # fmt: skip
    return SimpleNamespace(**stock | attributes)


def epoch_loop(epoch: int, max_epochs: int = 100) -> EpochBasedTrainLoop:
    loop = EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)
    loop._epoch, loop._max_epochs, loop._iter = epoch, max_epochs, 10 * epoch
    return loop


def iteration_loop(iteration: int) -> IterBasedTrainLoop:
    loop = IterBasedTrainLoop.__new__(IterBasedTrainLoop)
    loop._epoch, loop._max_epochs, loop._iter = 0, 1, iteration
    return loop


def scalar(runner: SimpleNamespace, name: str) -> float:
    return runner.message_hub.get_scalar(name).current()
