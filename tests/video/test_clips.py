from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from equikpt.video import clips
from equikpt.video.clips import Clip, ClipWriter


def gray(value: int) -> np.ndarray:
    return np.full((48, 64, 3), value, np.uint8)


@pytest.fixture
def clip(tmp_path):
    """Ten frames, each lighter than the one before."""
    path = tmp_path / "clip.avi"
    with ClipWriter(path, 12.5, (64, 48)) as writer:
        for value in range(0, 250, 25):
            writer.write(gray(value))
    return path


def test_what_was_written_is_read(clip):
    opened = Clip.open(clip)
    assert (opened.fps, opened.size_px, opened.count) == (12.5, (64, 48), 10)
    values = [frame.mean() for frame in opened.frames()]
    np.testing.assert_allclose(values, range(0, 250, 25), atol=3)
    assert [path.name for path in clip.parent.iterdir()] == ["clip.avi"]


@pytest.mark.parametrize("suffix", clips.CODECS)
def test_each_container_is_written_and_read(tmp_path, suffix):
    with ClipWriter(tmp_path / f"clip{suffix}", 25, (64, 48)) as writer:
        writer.write(gray(200))
        writer.write(gray(200))
    opened = Clip.open(writer.path)
    assert opened.size_px == (64, 48)
    assert len(list(opened.frames())) == 2


def test_an_odd_size_loses_its_last_px(tmp_path):
    with ClipWriter(tmp_path / "odd.avi", 25, (65, 49)) as writer:
        writer.write(np.full((49, 65, 3), 90, np.uint8))
    assert writer.written_px == Clip.open(writer.path).size_px == (64, 48)


def test_frames_are_read_one_by_one(clip, monkeypatch):
    """What is not asked for is not decoded."""
    decoded = []

    class Counting:
        def __init__(self, path):
            self.capture = cv2.VideoCapture(path)
            self.release = self.capture.release

        def read(self):
            decoded.append(1)
            return self.capture.read()

    opened = Clip.open(clip)
    monkeypatch.setattr(clips, "cv2", type("cv2", (), dict(VideoCapture=Counting)))
    frames = opened.frames()
    next(frames)
    next(frames)
    assert len(decoded) == 2


def test_a_block_that_fails_leaves_nothing(tmp_path):
    with (
        pytest.raises(ValueError, match="frames of 64 x 48 px, got 64 x 20"),
        ClipWriter(tmp_path / "clip.mp4", 25, (64, 48)) as writer,
    ):
        writer.write(gray(0)[:20])
    assert list(tmp_path.iterdir()) == []


def test_without_its_encoder_a_video_is_an_avi(tmp_path, monkeypatch):
    monkeypatch.setitem(clips.CODECS, ".mp4", "none")
    with ClipWriter(tmp_path / "clip.mp4", 25, (64, 48)) as writer:
        writer.write(gray(90))
    assert (writer.path, writer.codec) == (tmp_path / "clip.avi", "MJPG")
    assert [path.name for path in tmp_path.iterdir()] == ["clip.avi"]
    monkeypatch.setitem(clips.CODECS, ".avi", "none")
    with pytest.raises(OSError, match="it can do neither"):
        ClipWriter(tmp_path / "other.mp4", 25, (64, 48))


def test_nothing_is_replaced_unasked(clip):
    before = clip.read_bytes()
    with pytest.raises(FileExistsError, match="--overwrite"):
        ClipWriter(clip, 25, (64, 48))
    assert clip.read_bytes() == before
    with ClipWriter(clip, 25, (64, 48), overwrite=True) as writer:
        writer.write(gray(7))
    assert len(list(Clip.open(clip).frames())) == 1


def test_mistakes_are_sentences(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.mp4, found no such file"):
        Clip.open(tmp_path / "gone.mp4")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(OSError, match=r"reads no frame of it; convert it with ffmpeg -i text\.mp4"):
        Clip.open(tmp_path / "text.mp4")
    with pytest.raises(ValueError, match=r"one of \.mp4, .*got 'clip\.gif'"):
        clips.check_clip_name(Path("clip.gif"))
    with pytest.raises(ValueError, match="a video file with one of"):
        ClipWriter(tmp_path / "clip", 25, (64, 48))
