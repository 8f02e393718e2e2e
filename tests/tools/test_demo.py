import cv2
import pandas as pd
import pytest


@pytest.mark.slow
def test_demo_goes_all_the_way_and_again_at_once(run_tool, tmp_path):
    small = ["--data", tmp_path / "data", "--work-dir", tmp_path / "work"]
    small += ["--train", 12, "--val", 4, "--epochs", 1]
    done = run_tool("demo.py", *small)
    assert done.returncode == 0, done.stderr
    assert "coco/AP  " in done.stdout
    assert str(tmp_path / "work/predictions.jpg") in done.stdout
    assert cv2.imread(str(tmp_path / "work/predictions.jpg")).std() > 10
    assert len(pd.read_csv(tmp_path / "work/keypoints.csv")) == 26
    checkpoint = (tmp_path / "work/epoch_1.pth").stat().st_mtime_ns

    again = run_tool("demo.py", *small)
    assert again.returncode == 0, again.stderr
    assert "is complete, nothing to do" in again.stdout
    assert (tmp_path / "work/epoch_1.pth").stat().st_mtime_ns == checkpoint
