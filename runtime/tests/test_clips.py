import struct
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from equikpt_runtime import clips
from equikpt_runtime.clips import Clip, ClipWriter, find_videos


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


def with_times(path: Path, times_s: list[float]) -> Path:
    """Write an mp4 of a frame at each time, each lighter than the one before.

    OpenCV writes a constant rate; the table of durations (``stts``) is exchanged afterwards. The
    last frame is made to fill the movie that OpenCV wrote, so that its length stays.
    """
    count, fps = len(times_s), len(times_s) / (times_s[-1] + 0.1)
    with ClipWriter(path, round(fps, 3), (64, 48)) as writer:
        for number in range(count):
            writer.write(gray(20 * number))
    content = bytearray(path.read_bytes())
    (ticks,) = struct.unpack_from(">I", content, content.index(b"mdhd") + 16)
    ends = [*np.round(np.multiply(times_s, ticks)), round(count / round(fps, 3) * ticks)]
    durations = np.diff(ends)
    table = content.index(b"stts")
    (size,) = struct.unpack_from(">I", content, table - 4)
    rows = b"".join(struct.pack(">II", 1, int(each)) for each in durations)
    new = b"stts" + struct.pack(">II", 0, count) + rows
    grown = len(new) + 4 - size
    for box in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts"):
        place = content.index(box) - 4
        struct.pack_into(">I", content, place, struct.unpack_from(">I", content, place)[0] + grown)
    content[table : table - 4 + size] = new
    path.write_bytes(content)
    return path


BURST = [0, 1 / 30, 2 / 30, 3 / 30, 0.5, 0.9, 1.3]
STEADY = [number / 30 for number in range(9)]


@pytest.mark.parametrize("times_s", [BURST, STEADY], ids=["variable", "constant"])
def test_each_frame_has_its_own_time(tmp_path, times_s):
    opened = Clip.open(with_times(tmp_path / "clip.mp4", times_s))
    frames = list(opened.frames())
    np.testing.assert_allclose([frame.time_s for frame in frames], times_s, atol=1e-3)
    means = [frame.pixels.mean() for frame in frames]
    np.testing.assert_allclose(means, range(0, 20 * len(frames), 20), atol=9)
    assert not opened.untimed


@pytest.mark.parametrize("suffix", clips.CODECS)
@pytest.mark.parametrize("fps", [25.0, 29.97])
def test_times_of_a_constant_rate_are_exact(tmp_path, suffix, fps):
    """Matroska rounds them to milliseconds."""
    with ClipWriter(tmp_path / f"clip{suffix}", fps, (64, 48)) as writer:
        for _ in range(40):
            writer.write(gray(200))
    opened = Clip.open(writer.path)
    times_s = [frame.time_s for frame in opened.frames()]
    np.testing.assert_allclose(times_s, np.arange(40) / opened.fps, rtol=1e-9)
    assert opened.fps == opened.constant_fps() == pytest.approx(fps, abs=1e-3)
    assert opened.size_px == (64, 48)


def test_a_variable_rate_is_written_with_its_times(tmp_path):
    source = Clip.open(with_times(tmp_path / "clip.mp4", BURST))
    fps = source.constant_fps()
    assert fps == pytest.approx(30, abs=0.1)
    with ClipWriter(tmp_path / "again.mp4", fps, source.size_px) as writer:
        for frame in source.frames():
            writer.write(frame.pixels, frame.time_s)
    again = list(Clip.open(writer.path).frames())
    shown = np.array([frame.pixels.mean() for frame in again])
    begins_s = [again[int(np.argmax(shown > 20 * n - 10))].time_s for n in range(len(BURST))]
    np.testing.assert_allclose(begins_s, BURST, atol=0.5 / 30 + 1e-3)
    assert again[-1].time_s + 1 / 30 == pytest.approx(1.7, abs=0.5 / 30 + 1e-3)


@pytest.mark.parametrize(
    ("backend", "stated_ms", "times_s"),
    [
        pytest.param("FFMPEG", [0, 0, 0, 0], [0, 0.04, 0.08, 0.12], id="no times"),
        pytest.param("CV_MJPEG", [7, 8, 9, 10], [0, 0.04, 0.08, 0.12], id="another backend"),
        pytest.param("FFMPEG", [500, 600, 600, 800], [0, 0.1, 0.14, 0.3], id="one repeated"),
        pytest.param("FFMPEG", [0, 900, 10, 20], [0, 0.9, 0.94, 0.98], id="backwards"),
        pytest.param("FFMPEG", [0, 40, 80, 9000], [0, 0.04, 0.08, 9.0], id="a pause"),
    ],
)
def test_times_rise_whatever_the_file_says(backend, stated_ms, times_s):
    stated = iter(stated_ms)
    capture = SimpleNamespace(
        isOpened=lambda: True, getBackendName=lambda: backend, get=lambda _: next(stated)
    )
    times = clips.FrameTimes(capture, 25.0)
    np.testing.assert_allclose([times.next_s() for _ in stated_ms], times_s)
    assert (times.unknown == 3) == (times_s[-1] == 0.12)


def test_what_was_written_is_read(clip):
    opened = Clip.open(clip)
    assert (opened.fps, opened.size_px, opened.count) == (12.5, (64, 48), 10)
    values = [frame.pixels.mean() for frame in opened.frames()]
    np.testing.assert_allclose(values, range(0, 250, 25), atol=3)
    assert [path.name for path in clip.parent.iterdir()] == ["clip.avi"]


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
            self.release, self.get = self.capture.release, self.capture.get
            self.getBackendName, self.isOpened = self.capture.getBackendName, lambda: True

        def read(self):
            decoded.append(1)
            return self.capture.read()

    opened = Clip.open(clip)
    monkeypatch.setattr(clips, "cv2", SimpleNamespace(**vars(cv2) | dict(VideoCapture=Counting)))
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
    with pytest.raises(FileNotFoundError, match=r"gone\.mp4"):
        Clip.open(tmp_path / "gone.mp4")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(OSError, match=r"text\.mp4"):
        Clip.open(tmp_path / "text.mp4")
    with pytest.raises(ValueError, match=r"'clip\.gif'"):
        clips.check_clip_name(Path("clip.gif"))
    with pytest.raises(ValueError, match="a video file with one of"):
        ClipWriter(tmp_path / "clip", 25, (64, 48))


def test_videos_of_files_and_folders(tmp_path):
    for name in ("b.mp4", "a.AVI", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    found = find_videos([tmp_path / "b.mp4", tmp_path])
    assert [path.name for path in found] == ["b.mp4", "a.AVI", "b.mp4"]
    for missing in ("empty", "c.mp4"):
        with pytest.raises(FileNotFoundError, match=missing):
            find_videos([tmp_path / missing])
