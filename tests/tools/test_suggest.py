import json
import shutil

import cv2
import numpy as np
import pytest

from equikpt.cli.commands.suggest import main
from tests.export.conftest import HEATMAPS, tiny_config, write_checkpoint


@pytest.fixture(scope="module")
def config(tmp_path_factory, sample_data):
    folder = tmp_path_factory.mktemp("run")
    cfg = tiny_config(HEATMAPS)
    for split in ("train", "val", "test"):
        cfg[f"{split}_dataloader"].dataset.data_root = f"{sample_data}/"
    cfg.work_dir = str(folder)
    cfg.dump(folder / "tiny.py")
    write_checkpoint(cfg, folder / "best.pth")
    return folder / "tiny.py"


@pytest.fixture
def sources(tmp_path, sample_data):
    """A folder with two labelled images, a damaged one, and a video of blots."""
    folder = tmp_path / "new"
    folder.mkdir()
    for path in sorted((sample_data / "images" / "train").iterdir())[:2]:
        shutil.copy(path, folder / path.name)
    (folder / "damaged.jpg").write_bytes(b"no image")
    rng = np.random.default_rng(0)
    writer = cv2.VideoWriter(
        str(folder / "film.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (96, 64)
    )
    for _ in range(30):
        writer.write(cv2.resize(rng.integers(0, 256, (8, 12, 3), dtype=np.uint8), (96, 64)))
    writer.release()
    return folder


def test_it_writes_what_a_labelling_tool_needs(config, sources, tmp_path, capsys):
    out = tmp_path / "out"
    words = [str(config), str(sources), "--out", str(out), "--count", "3", "--to", "label-studio"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "3 of 8 images; 2 are nearly the same as labelled ones" in said
    content = json.loads((out / "suggested.json").read_text())
    names = [image["file_name"] for image in content["images"]]
    assert all(name.startswith("film_") for name in names)
    assert sorted(path.name for path in (out / "images").iterdir()) == sorted(names)
    assert len(content["annotations"]) == 3
    assert len(content["annotations"][0]["keypoints"]) == 3 * 26
    sheet = cv2.imread(str(out / "sheet.jpg"))
    assert sheet.std() > 10
    table = (out / "suggested.csv").read_text().splitlines()
    assert len(table) == 4
    assert table[0].startswith("image,source,frame,time_s,reason,uncertainty")
    assert list((out / "label-studio").glob("*.json"))
    assert not (out / ".evidence").exists()
    with pytest.raises(FileExistsError, match="--overwrite"):
        main(words)
    assert main([*words, "--overwrite"]) == 0


def test_images_of_others_are_never_replaced(config, sources, tmp_path, capsys):
    out = tmp_path / "mine"
    (out / "images").mkdir(parents=True)
    (out / "images" / "dear.jpg").write_bytes(b"mine")
    words = [str(config), str(sources), "--out", str(out), "--count", "1", "--overwrite"]
    with pytest.raises(FileExistsError, match="something else"):
        main(words)
    assert (out / "images" / "dear.jpg").read_bytes() == b"mine"
    done = tmp_path / "done"
    assert main([str(config), str(sources), "--out", str(done), "--count", "1"]) == 0
    for mistake in (tmp_path / "none", done / "images"):
        with pytest.raises((FileNotFoundError, ValueError)):
            main([str(config), str(mistake), "--out", str(done), "--overwrite"])
        assert list((done / "images").iterdir())


def test_a_stopped_run_goes_on(config, sources, tmp_path, monkeypatch):
    from equikpt.suggestions import collecting

    monkeypatch.setattr(collecting, "CHUNK", 2)
    words = [str(config), str(sources), "--count", "3", "--out"]
    assert main([*words, str(tmp_path / "whole")]) == 0
    saved = collecting.Chunks.save

    def stop(self, number, part):
        saved(self, number, part)
        if number == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(collecting.Chunks, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        main([*words, str(tmp_path / "two")])
    monkeypatch.setattr(collecting.Chunks, "save", saved)
    with pytest.raises(FileExistsError, match="other sources or options"):
        main([*words, str(tmp_path / "two"), "--every", "0.3"])
    assert main([*words, str(tmp_path / "two")]) == 0
    first, second = ((tmp_path / name / "suggested.csv").read_text() for name in ("whole", "two"))
    assert first == second
