import json

import cv2
import numpy as np
import pytest

TOOL = "check_done_balance"
CONFIG = "sequential_efficientnet-lite0_fsc147-384x384"
COUNTS = dict(train=(20, 30, 40), val=(22,))


@pytest.fixture
def things(tmp_path):
    """A folder in FSC-147's layout: empty images with points."""
    records, splits = {}, {}
    (tmp_path / "images_384_VarV2").mkdir()
    for split, counts in COUNTS.items():
        splits[split] = [f"{split}_{count}.png" for count in counts]
        for name, count in zip(splits[split], counts, strict=True):
            image = np.zeros((40, 60, 3), np.uint8)
            cv2.imwrite(str(tmp_path / "images_384_VarV2" / name), image)
            points = np.random.default_rng(count).uniform(0, 39, (count, 2))
            records[name] = dict(points=points.tolist())
    (tmp_path / "annotation_FSC147_384.json").write_text(json.dumps(records))
    (tmp_path / "Train_Test_Val_FSC_147.json").write_text(json.dumps(splits))
    return tmp_path


def test_figures_and_exit_codes(call_tool, things):
    out = things / "balance.json"

    def call(balance: str, *more: str, code: int = 0) -> str:
        option = f"model.head.done_balance={balance}"
        arguments = (CONFIG, "--data-root", things, "--json", out, "--cfg-options", option)
        return call_tool(TOOL, *arguments, *more, code=code)

    printed = call("balanced")
    assert "train: 3 images, 30.0 points each (min 20, median 30, max 40)" in printed
    content = json.loads(out.read_text())
    assert content["balance"] == "balanced"
    assert {split: tuple(each["counts"]) for split, each in content["splits"].items()} == COUNTS
    assert content["splits"]["train"]["share_of_steps"] == pytest.approx(3 / 93)
    assert content["findings"] == []
    assert "overwrite" in call("balanced", code=2)
    assert "set model.head.done_balance=balanced" in call("steps", "--overwrite", code=1)
    assert len(json.loads(out.read_text())["findings"]) == 2


def test_keypoints_in_their_order(call_tool, sample_data):
    config = "experimental/sequential_efficientnet-lite0_horse26-256x256"
    assert "max 26" in call_tool(TOOL, config, "--data-root", sample_data)


def test_real_cells(call_tool, real_data):
    printed = call_tool(TOOL, CONFIG, "--data-root", real_data / "blood_cells")
    assert "train: 205 images" in printed
    assert "val: 87 images" in printed
