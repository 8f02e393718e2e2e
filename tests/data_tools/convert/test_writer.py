import os
from pathlib import Path

import pytest

from equikpt.data_tools.convert import writer
from equikpt.data_tools.convert.conversion import convert, export
from tests.data_tools.convert.conftest import tree

PARTS = [Path("annotations/train.json"), Path("images/train"), Path("annotations/val.json")]


def fill(root: Path, text: str, parts=PARTS) -> None:
    for part in parts:
        path = root / part if part.suffix else root / part / "a.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def old(tmp_path) -> Path:
    """An output with a part that stays, and without the last of the parts."""
    root = tmp_path / "out"
    fill(root, "old", [*PARTS[:2], Path("images/test")])
    return root


@pytest.mark.parametrize("killed", [False, True], ids=["error", "kill"])
@pytest.mark.parametrize("last", range(1, 7))
def test_an_end_between_any_two_moves_loses_nothing(old, monkeypatch, last, killed):
    """The journal is written, two parts are set aside and three move in: six moves."""
    before, move, moves = tree(old), os.replace, []

    def stop(*arguments):
        moves.append(arguments)
        if len(moves) == last:
            raise OSError("the end")
        move(*arguments)

    with writer.staged(old) as staging, monkeypatch.context() as patch:
        fill(staging, "new")
        patch.setattr(writer.os, "replace", stop)
        if killed:
            patch.setattr(writer, "restore", lambda output: None)
        with pytest.raises(OSError, match="the end"):
            writer.move_in(old, PARTS)
    assert killed or tree(old) == before
    with writer.staged(old):  # the next run
        pass
    assert tree(old) == before
    assert len(moves) >= last


def test_all_parts_are_new_in_the_end(old):
    with writer.staged(old) as staging:
        fill(staging, "new")
        writer.move_in(old, PARTS)
    expected = {"annotations/train.json": b"new", "images/train/a.png": b"new"}
    expected |= {"annotations/val.json": b"new", "images/test/a.png": b"old"}
    assert tree(old) == expected


@pytest.mark.parametrize("place", ["images/train", "images", "annotations", "annotations/val.json"])
@pytest.mark.parametrize("to", ["coco", "yolo-pose"])
def test_what_a_link_leads_to_is_never_replaced(make_coco, tmp_path, place, to):
    """Images on another disk: refused before anything changes, with overwrite as well."""
    source, output, disk = make_coco(), tmp_path / "out", tmp_path / "disk"
    for kind in ("images", "labels", "annotations"):
        (output / kind).mkdir(parents=True)
        (output / kind / "mine.txt").write_text("mine")
    if to == "yolo-pose" and place != "images":
        place = {"images/train": "labels", "annotations": "data.yaml"}.get(place, "images")
    if (output / place).is_dir():
        (output / place).rename(disk)
    else:
        disk.mkdir()
        (disk / "theirs.txt").write_text("theirs")
    (output / place).symlink_to(disk)
    before = tree(output), tree(disk)
    options = {"target_name": "coco"} if to == "coco" else {"to": to}
    function = convert if to == "coco" else export
    with pytest.raises(FileExistsError, match=f"{place} is a link to {disk}"):
        function("coco", source, output, overwrite=True, **options)
    assert (tree(output), tree(disk)) == before


def test_an_output_that_is_a_link_itself_is_meant(make_coco, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    source = make_coco()
    for overwrite in (False, True):
        convert("coco", source, tmp_path / "out", target_name="coco", overwrite=overwrite)
    assert (tmp_path / "disk/annotations/train.json").is_file()
