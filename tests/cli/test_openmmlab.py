"""Scripts of MMPose and mmdet, run on the stack that equikpt made ready."""

from __future__ import annotations

import sys
import time

import pytest
import torch
from mmengine.logging import HistoryBuffer

from equikpt.cli.openmmlab import find_script, run_script


@pytest.fixture(autouse=True)
def _own_command_line(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pytest"])
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_a_script_of_ones_own_is_the_main_program(tmp_path, capsys):
    (tmp_path / "beside.py").write_text("NAME = 'beside'")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from mmpose.apis import init_model\n"  # No module named 'mmdet', without equikpt
        "from beside import NAME\n"
        "print(__name__, sys.argv[1:], NAME)\n"
    )
    run_script(str(script), ["--threshold", "3"])
    assert capsys.readouterr().out == "__main__ ['--threshold', '3'] beside\n"


def test_mmpose_publishes_our_checkpoints(tmp_path):
    """Their training state holds more than weights, which torch refuses where nobody allows it."""
    source = tmp_path / "epoch_1.pth"
    history = HistoryBuffer([1.0], [1])
    torch.save(
        dict(state_dict=dict(a=torch.ones(2)), meta=dict(epoch=1), message_hub=history), source
    )
    run_script("mmpose/tools/misc/publish_model.py", [str(source), str(tmp_path / "out.pth")])
    for _ in range(100):  # it renames the file in another process and does not wait
        if published := list(tmp_path.glob("out-????????_????????.pth")):
            break
        time.sleep(0.1)
    checkpoint = torch.load(published[0], weights_only=True)
    assert sorted(checkpoint) == ["meta", "state_dict"]


def test_what_does_not_exist_is_a_sentence(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"no such file: give the path of a script"):
        find_script(str(tmp_path / "gone.py"))
    with pytest.raises(FileNotFoundError, match=r"one of mmpose/tools/misc/publish_model\.py$"):
        find_script("mmpose/publish_model.py")
    with pytest.raises(FileNotFoundError, match=r"give a script below .*mim"):
        find_script("mmpose/tools/gone.py")
    monkeypatch.setitem(sys.modules, "mmdet", None)
    with pytest.raises(ImportError, match=r"mmdet for mmdet/tools/train\.py, found none: install"):
        find_script("mmdet/tools/train.py")
