"""A fifth task adds files and edits none: it is trained, tested, drawn and reported."""

import importlib
import json

import cv2
import pandas as pd
import pytest

from equikpt.cli.commands import browse_dataset, report, test, train
from tests.conftest import REPO

CONFIG = """
_base_ = "{base}"
custom_imports = dict(imports=["equikpt.register", "fifth_task"], allow_failed_imports=False)
codec = dict(type="FastUDPHeatmap", input_size=(64, 64), heatmap_size=(8, 8), sigma=1)
head = dict(out_channels=1, decoder=codec)
model = dict(backbone=dict(weights=None, frozen_stages=-1), head=head)
loader = dict(num_workers=0, persistent_workers=False, batch_size=6)
changes = dict(type="MuzzleDataset", data_root="{data}", codec=codec)
train_dataloader = dict(**loader, dataset=changes)
val_dataloader = dict(**loader, dataset=changes)
test_dataloader = dict(**loader, dataset=changes)
optim_wrapper = dict(paramwise_cfg=dict(frozen_stages=-1))
val_evaluator = test_evaluator = dict(_delete_=True, type="MuzzleMetric")
default_hooks = dict(
    checkpoint=dict(save_best="muzzle/off_px", rule="less"),
    early_stopping=dict(monitor="muzzle/off_px", rule="less"),
    images=dict(interval=1),
)
train_cfg = dict(max_epochs=1, val_interval=1)
"""


@pytest.fixture(scope="module")
def task(sample_data, tmp_path_factory):
    """Folder with the task's module, its config and a data set of one point a horse."""
    folder = tmp_path_factory.mktemp("fifth")
    for split in ("train", "val", "test"):
        content = json.loads((sample_data / f"annotations/{split}.json").read_text())
        for category in content["categories"]:
            category.update(keypoints=["muzzle"], skeleton=[])
        for row in content["annotations"]:
            row["keypoints"] = [*row["bbox"][:2], 2]
        (folder / "annotations").mkdir(exist_ok=True)
        (folder / f"annotations/{split}.json").write_text(json.dumps(content))
    (folder / "images").symlink_to(sample_data / "images")
    base = REPO / "configs/smoke/td-hm_efficientnet-lite0_horse26-192x192.py"
    (folder / "muzzle.py").write_text(CONFIG.format(base=base, data=f"{folder}/"))
    return folder


@pytest.mark.slow
def test_a_task_of_its_own_needs_no_change_of_the_package(task, monkeypatch, capsys):
    monkeypatch.syspath_prepend(REPO / "tests/integration")
    fifth_task = importlib.import_module("fifth_task")
    config, run = str(task / "muzzle.py"), task / "run"

    assert train.main([config, "--work-dir", str(run)]) == 0
    (best,) = run.glob("best_muzzle_off_px_epoch_1.pth")
    (sheet,) = run.glob("*/vis_data/vis_image/val_predictions_1.png")
    assert cv2.imread(str(sheet)).size

    capsys.readouterr()
    assert test.main([config, str(best), "--work-dir", str(task / "test")]) == 0
    count = len(json.loads((task / "annotations/test.json").read_text())["annotations"])
    assert f"muzzles: {count}\n" in capsys.readouterr().out
    (table,) = (task / "test").glob("*/muzzles.csv")
    assert len(pd.read_csv(table)) == count
    (worst,) = (task / "test").glob("*/worst_muzzles.png")
    pixels = cv2.imread(str(worst))[:64]
    assert (pixels == pixels[..., :1]).all()  # read by the data set, which makes them gray

    out = str(task / "browse.png")
    assert browse_dataset.main([config, "--count", "2", "--out", out]) == 0
    assert (cv2.imread(out)[:100] == fifth_task.DRAWN_BGR).all(axis=2).any()

    assert report.main(["--work-dir", str(run), "--trust-config"]) == 0
    page = (run / "report.html").read_text()
    assert "The worst muzzles." in page
    assert "Off, px" in page
    assert "mean distance, px of the image" in page
