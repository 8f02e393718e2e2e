"""Scalars and images of a training in every backend of the visualizer."""

import shutil
import sys
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image as PillowImage
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.conftest import REPO
from tests.fake_wandb import FakeWandb, Image
from tests.integration.conftest import SMALL, logged_rows

EPOCHS = 2
SCALARS = {"loss", "lr", "coco/AP", "resident_gib", "clipped_share", "grad_norm_head"}
"""One of each hook that writes any."""


class Logged(NamedTuple):
    """What a training left."""

    work_dir: Path
    wandb: FakeWandb


@pytest.fixture(scope="module")
def logged(sample_data, tmp_path_factory) -> Logged:
    """Two epochs of the RTMPose twin, with the line for W&B in the runtime uncommented."""
    from equikpt.cli.commands.train import TrainOptions, train

    folder = tmp_path_factory.mktemp("logged")
    configs = folder / "configs"
    shutil.copytree(REPO / "configs", configs)
    uncomment(configs / "_base_" / "runtime.py", "IterationWandbVisBackend")
    options = (
        *SMALL,
        f"train_cfg.max_epochs={EPOCHS}",
        "default_hooks.images.interval=1",
        "default_hooks.logger.interval=1",
        "default_hooks.gradients.type=GradientMonitorHook",
        "default_hooks.gradients.interval=1",
    )
    wandb = FakeWandb()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "wandb", wandb)
        train(
            TrainOptions(
                config=str(configs / "smoke" / "rtmpose_m_ap10k.py"),
                work_dir=str(folder / "work"),
                data_root=str(sample_data),
                cfg_options=options,
            )
        )
    return Logged(folder / "work", wandb)


def uncomment(path: Path, word: str) -> None:
    """Uncomment the one line that holds ``word``."""
    lines = path.read_text().split("\n")
    (number,) = (number for number, line in enumerate(lines) if word in line)
    lines[number] = lines[number].replace("# ", "", 1)
    path.write_text("\n".join(lines))


def local_images(work_dir: Path) -> dict[int, np.ndarray]:
    """(H, W, 3), RGB, by epoch."""
    paths = work_dir.glob("*/vis_data/vis_image/val_predictions_*.png")
    return {int(path.stem.rpartition("_")[2]): cv2.imread(str(path))[..., ::-1] for path in paths}


def test_local_files_hold_the_scalars_and_a_sheet_an_epoch(logged):
    assert set(local_images(logged.work_dir)) == {1, 2}
    assert all(sheet.std() > 10 for sheet in local_images(logged.work_dir).values())
    assert set().union(*logged_rows(logged.work_dir)) >= SCALARS


def test_tensorboard_holds_the_same(logged):
    (path,) = logged.work_dir.glob("*/vis_data/events.out.tfevents.*")
    events = EventAccumulator(str(path), size_guidance=dict(images=0)).Reload()
    assert set(events.Tags()["scalars"]) >= SCALARS
    steps = [event.step for event in events.Scalars("loss")]
    assert steps == list(range(1, len(steps) + 1))
    assert [event.step for event in events.Scalars("coco/AP")] == [1, 2]
    sheets = {
        event.step: np.asarray(PillowImage.open(BytesIO(event.encoded_image_string)))
        for event in events.Images("val_predictions")
    }
    expected = local_images(logged.work_dir)
    assert set(sheets) == set(expected)
    for epoch, sheet in sheets.items():
        np.testing.assert_array_equal(sheet, expected[epoch])


def test_wandb_holds_the_same_and_each_row_its_iteration(logged):
    wandb = logged.wandb
    assert wandb.runs[0]["project"] == "equikpt"
    assert (len(wandb.runs), wandb.ended, len(wandb.configs)) == (1, 1, 1)
    assert set().union(*wandb.rows) >= SCALARS
    rows = {
        name: [(row["iter"], row["epoch"]) for row in wandb.rows if name in row]
        for name in ("loss", "coco/AP", "val_predictions")
    }
    assert [iteration for iteration, _ in rows["loss"]] == list(range(1, len(rows["loss"]) + 1))
    half = len(rows["loss"]) // EPOCHS
    assert rows["coco/AP"] == rows["val_predictions"] == [(half, 1), (2 * half, 2)]
    expected = local_images(logged.work_dir)
    sheets = [row["val_predictions"] for row in wandb.rows if "val_predictions" in row]
    for epoch, sheet in enumerate(sheets, start=1):
        assert isinstance(sheet, Image)
        np.testing.assert_array_equal(sheet.image, expected[epoch])


@pytest.mark.parametrize("runtime", ["runtime", "runtime_coco", "runtime_p1p2", "runtime_pointing"])
def test_every_run_shows_images_and_bars(runtime):
    cfg = Config.fromfile(REPO / "configs" / "_base_" / f"{runtime}.py")
    is_pointing = runtime == "runtime_pointing"
    hook = "SequenceVisualizationHook" if is_pointing else "PredictionSheetHook"
    assert cfg.default_hooks.images.type == hook
    assert cfg.default_hooks.progress_bar.type == "ProgressBarHook"
    assert [backend.type for backend in cfg.visualizer.vis_backends] == [
        "LocalVisBackend",
        "TensorboardVisBackend",
    ]
