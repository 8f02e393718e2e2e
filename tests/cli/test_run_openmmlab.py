"""Scripts of MMPose and mmdet, run on the stack that equikpt made ready."""

import sys
import time

import pytest
import torch
from mmengine.logging import HistoryBuffer

from equikpt.cli.commands.run_openmmlab import find_script, main


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
    main([str(script), "--threshold", "3"])
    assert capsys.readouterr().out == "__main__ ['--threshold', '3'] beside\n"


def test_mmpose_publishes_our_checkpoints(tmp_path):
    """Their training state holds more than weights, which torch refuses where nobody allows it."""
    source = tmp_path / "epoch_1.pth"
    history = HistoryBuffer([1.0], [1])
    torch.save(
        dict(state_dict=dict(a=torch.ones(2)), meta=dict(epoch=1), message_hub=history), source
    )
    main(["mmpose/tools/misc/publish_model.py", str(source), str(tmp_path / "out.pth")])
    for _ in range(100):  # it renames the file in another process and does not wait
        if published := list(tmp_path.glob("out-????????_????????.pth")):
            break
        time.sleep(0.1)
    checkpoint = torch.load(published[0], weights_only=True)
    assert sorted(checkpoint) == ["meta", "state_dict"]


@pytest.mark.parametrize(
    ("script", "error", "words"),
    [
        ("gone.py", FileNotFoundError, "give the path of a script"),
        ("mmpose/publish_model.py", FileNotFoundError, r"mmpose/tools/misc/publish_model\.py$"),
        ("mmpose/tools/gone.py", FileNotFoundError, r"give a script below .*mim"),
        ("mmdet/tools/train.py", ImportError, r"mmdet for mmdet/tools/train\.py"),
    ],
)
def test_what_does_not_exist_is_a_sentence(monkeypatch, script, error, words):
    monkeypatch.setitem(sys.modules, "mmdet", None)
    with pytest.raises(error, match=words):
        find_script(script)
