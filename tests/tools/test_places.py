"""Files and folders that cannot be used are one sentence in every tool, whatever reads them.

In process: a place is refused before a model is built or an image decoded.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from equikpt.core.errors import is_user_error, sentence
from tests.conftest import REPO

CONFIG = "smoke/rtmpose_m_ap10k"
SEQUENTIAL = "experimental/sequential_efficientnet-lite0_horse26-256x256"
DRAW = ["--config", CONFIG, "--checkpoint", "{weights}"]

# A tool, its arguments without the place, and the options that take one. {…} are files that exist.
READ = [
    ("train", [], "config"),
    ("train", [CONFIG], "--data-root"),
    ("train", [CONFIG, "--data-root", "{data}"], "--resume"),
    ("test", ["{weights}"], "config"),
    ("test", [CONFIG], "checkpoint"),
    ("test", [CONFIG, "{weights}"], "--data-root"),
    ("param_report", [], "config"),
    ("browse_dataset", ["--out", "x.jpg"], "config"),
    ("browse_dataset", [CONFIG, "--out", "x.jpg"], "--data-root"),
    ("check_done_balance", [], "config"),
    ("check_done_balance", [SEQUENTIAL], "--data-root"),
    ("report", [], "--work-dir"),
    ("monitor_training", [], "--work-dir"),
    ("verify_dataset", [], "--ann-file"),
    ("verify_dataset", ["--ann-file", "{labels}"], "--img-dir"),
    ("split_dataset", ["--output", "out"], "--ann-file"),
    ("estimate_sigmas", ["--predictions", "{labels}"], "--gt"),
    ("estimate_sigmas", ["--gt", "{labels}"], "--predictions"),
    ("check_annotations_quality", [], "files"),
    ("remap_checkpoint", ["out.pth", "--config", CONFIG, "--source", "ap10k"], "checkpoint before"),
    ("calibrate", ["{image}"], "--checkpoint"),
    ("calibrate", ["{image}", "--checkpoint", "{weights}"], "--config"),
    ("count", ["{image}"], "--checkpoint"),
    ("visualize", ["--config", CONFIG, "--img", "{image}", "--out-dir", "x"], "--checkpoint"),
    ("visualize", [*DRAW, "--out-dir", "x"], "--img-dir"),
    ("visualize", [*DRAW, "--out", "x.mp4"], "--video"),
    *(
        ("convert_dataset", ["--output", "out", "--from", name], "--input")
        for name in (
            *("coco", "yolo-pose", "cvat", "label-studio", "dlc", "sleap", "ap10k", "animalpose"),
            "horse10",
        )
    ),
    ("convert_dataset", ["--output", "out", "--from", "coco", "--input", "{labels}"], "--mapping"),
]  # fmt: skip
WRITE = [
    ("train", [CONFIG, "--data-root", "{data}"], "--work-dir"),
    ("test", [CONFIG, "{weights}", "--data-root", "{data}"], "--work-dir"),
    ("test", [CONFIG, "{weights}", "--data-root", "{data}"], "--out"),
    ("test", [CONFIG, "{weights}", "--data-root", "{data}"], "--report"),
    ("test", [CONFIG, "{weights}", "--data-root", "{data}"], "--draw"),
    ("browse_dataset", [CONFIG, "--data-root", "{data}"], "--out"),
    ("check_done_balance", [SEQUENTIAL, "--data-root", "{data}"], "--json"),
    ("monitor_training", ["--work-dir", "{data}"], "--png"),
    ("monitor_training", ["--work-dir", "{data}"], "--html"),
    ("report", ["--work-dir", "{data}"], "--out"),
    ("verify_dataset", ["--ann-file", "{labels}"], "--json"),
    ("verify_dataset", ["--ann-file", "{labels}"], "--csv"),
    ("verify_dataset", ["--ann-file", "{labels}"], "--report"),
    ("split_dataset", ["--ann-file", "{labels}"], "--output"),
    ("estimate_sigmas", ["--gt", "{labels}", "--predictions", "{labels}"], "--out"),
    ("check_annotations_quality", ["{labels}"], "--out"),
    ("remap_checkpoint", ["{weights}", "--config", CONFIG, "--source", "ap10k"], "out after"),
    ("calibrate", ["{image}", "--checkpoint", "{weights}"], "--out"),
    ("count", ["{image}", "--checkpoint", "{weights}"], "--out"),
    ("visualize", [*DRAW, "--img", "{image}"], "--out-file"),
    ("visualize", [*DRAW, "--img", "{image}"], "--out-dir"),
    ("convert_dataset", ["--from", "coco", "--input", "{labels}"], "--output"),
    ("make_sample_data", ["--train", "1", "--val", "1"], "--out"),
    ("download_checkpoints", ["rtmpose_m_ap10k"], "--dest"),
]  # fmt: skip
IMAGE = dict(id=1, file_name="1.jpg", width=9, height=9)
CATEGORY = dict(id=1, name="x", keypoints=["a"], skeleton=[])
ANNOTATION = dict(id=1, image_id=1, category_id=1, keypoints=[1, 1, 2], num_keypoints=1)
ANNOTATION |= dict(bbox=[0, 0, 5, 5], area=25, iscrowd=0)
PLACES = {
    "in a file": "file.txt/x",
    "a long name": "a" * 300,
    "a folder": "folder",
}


@pytest.fixture
def files(tmp_path, monkeypatch, sample_data) -> dict[str, str]:
    """Files that exist, and a file and a folder in the current folder that are none of them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.txt").write_text("text")
    (tmp_path / "folder").mkdir()
    (tmp_path / "weights.pth").write_text("no weights")
    (tmp_path / "labels.json").write_text(
        json.dumps(dict(images=[IMAGE], annotations=[ANNOTATION], categories=[CATEGORY]))
    )
    image = next((sample_data / "images" / "train").iterdir())
    return dict(
        data=str(sample_data), weights="weights.pth", labels="labels.json", image=str(image)
    )


def call(tool: str, argv: list[str], monkeypatch) -> BaseException | int:
    """What ``main`` of a tool raises, or its exit code."""
    path = REPO / "tools" / f"{tool}.py"
    spec = importlib.util.spec_from_file_location(f"tool_{tool}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys, "argv", [str(path), *argv])
    try:
        return module.main(argv)
    except SystemExit as end:
        return end.code
    except Exception as error:
        return error


def command(files, arguments: list[str], option: str, place: str) -> list[str]:
    """The arguments of a tool with the place as its option, or before or after positional ones."""
    argv = [argument.format_map(files) for argument in arguments]
    if option in ("config", "checkpoint before"):
        return [place, *argv]
    if option == "out after":
        return [argv[0], place, *argv[1:]]
    return [*argv, option, place] if option.startswith("--") else [*argv, place]


def check(found: BaseException | int, place: str) -> None:
    if isinstance(found, int):
        assert found in (1, 2), "success, though the place cannot be used"
        return
    assert is_user_error(found), repr(found)
    text = sentence(found)
    assert Path(place).name[:20] in text or place.split("/")[0] in text, text
    assert "[Errno" not in text


def names(rows: list[tuple[str, list[str], str]]) -> list[str]:
    return [" ".join((tool, *arguments[-1:], option)) for tool, arguments, option in rows]


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize(("tool", "arguments", "option"), READ, ids=names(READ))
def test_a_place_that_cannot_be_read(monkeypatch, files, tool, arguments, option, place):
    if (tool, option, place) == ("verify_dataset", "--img-dir", "folder"):
        pytest.skip("an empty folder can be read, and what it lacks is a finding")
    check(call(tool, command(files, arguments, option, place), monkeypatch), place)


@pytest.mark.parametrize("place", ["file.txt/x", f"{'a' * 300}/x"], ids=["in a file", "long name"])
@pytest.mark.parametrize(("tool", "arguments", "option"), WRITE, ids=names(WRITE))
def test_a_place_that_cannot_be_written(monkeypatch, files, tool, arguments, option, place):
    image = option in ("--draw", "--png", "--out-file") or tool == "browse_dataset"
    place += ".jpg" if image else ""
    before = sorted(Path().rglob("*"))
    found = call(tool, command(files, arguments, option, place), monkeypatch)
    assert not isinstance(found, int), "computed before it looked"
    check(found, place)
    assert sorted(Path().rglob("*")) == before
