import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from equikpt.data_tools.convert.conversion import convert
from equikpt.data_tools.convert.reading import Reading
from equikpt.data_tools.convert.schemes import NO_SCHEME
from equikpt.data_tools.convert.sleap import read

sio = pytest.importorskip("sleap_io")


def test_sleap_needs_sleap_io(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sleap_io", None)
    with pytest.raises(ImportError, match=r"needs sleap-io, .* pip install 'equikpt\[formats\]'"):
        read(tmp_path / "a.slp", NO_SCHEME)


def save(path: Path, *labelled, nodes=("nose",), embed=False) -> Path:
    """A project with instances on frames: (video, frame, points of labels, of predictions), …"""
    skeleton = sio.Skeleton(list(nodes))

    def instances(kind, points):
        return [kind.from_numpy(np.array(own, dtype=float), skeleton=skeleton) for own in points]

    frames = []
    for video, index, labels, predictions in labelled:
        own = instances(sio.Instance, labels) + instances(sio.PredictedInstance, predictions)
        frames.append(sio.LabeledFrame(video=video, frame_idx=index, instances=own))
    videos = list({id(video): video for video, *_ in labelled}.values())
    labels = sio.Labels(frames, videos=videos, skeletons=[skeleton])
    labels.save(str(path), embed="user" if embed else False)
    return path


def one_point(video, *indices) -> list[tuple]:
    return [(video, index, [[(3, 4)]], []) for index in indices]


@pytest.fixture
def project(tmp_path):
    """``project(embed=False)``: two images, two animals on the first, a prediction on both."""

    def make(embed: bool = False) -> Path:
        rng = np.random.default_rng(0)
        paths = [str(tmp_path / name) for name in ("a.png", "b.png")]
        for path in paths:
            Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
        video = sio.Video.from_filename(paths)
        animals = [[(3, 4), (5.5, 6)], [(13, 14), (np.nan, np.nan)]]
        predicted = [[(1, 1), (2, 2)]]
        rows = [(video, 0, animals, predicted), (video, 1, [], predicted)]
        path = tmp_path / ("labels.pkg.slp" if embed else "labels.slp")
        return save(path, *rows, nodes=("nose", "tail"), embed=embed)

    return make


def test_labelled_instances_are_read_and_predicted_ones_noted(project):
    dataset = read(project(), NO_SCHEME)
    assert dataset.keypoints == ("nose", "tail")
    (image,) = dataset.splits[""]
    assert (image.file_name, image.width, image.height) == ("a.png", 30, 20)
    first, second = (instance.keypoints.tolist() for instance in image.instances)
    assert first == [[3, 4, 2], [5.5, 6, 2]]
    assert second == [[13, 14, 2], [0, 0, 0]]
    assert dataset.notes == ["2 predicted instances are not read: they are no labels"]


def test_embedded_frames_become_images(project, tmp_path):
    path = project(embed=True)
    pixels = np.asarray(Image.open(tmp_path / "a.png"))
    for name in ("a.png", "b.png"):
        (tmp_path / name).unlink()
    convert("sleap", path, tmp_path / "out", target_name="coco")
    (written,) = (tmp_path / "out/images/train").iterdir()
    np.testing.assert_array_equal(np.asarray(Image.open(written)), pixels)


def test_what_is_no_project_is_refused(tmp_path):
    (tmp_path / "a.slp").write_bytes(b"no hdf5")
    with pytest.raises(ValueError, match="is no SLEAP file"):
        read(tmp_path / "a.slp", NO_SCHEME)


def write_images(root: Path, names) -> list[str]:
    for index, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (30, 20), 10 * index).save(root / name)
    return [str(root / name) for name in names]


@pytest.fixture
def video(tmp_path) -> Path:
    path = tmp_path / "videos/trot.avi"
    path.parent.mkdir()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for value in (0, 50, 100, 150):
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    return path


NAMES = [["m1/img0.png", "m1/img1.png"], ["m2/img0.png", "m2/img1.png"]]


@pytest.mark.parametrize("moved", [False, True], ids=["as stated", "moved"])
def test_names_keep_their_folder(tmp_path, moved):
    """Videos are often called alike, as frames of DeepLabCut are, which SLEAP imports."""
    videos = [
        sio.Video.from_filename(write_images(tmp_path / "labeled-data", names)) for names in NAMES
    ]
    path = save(tmp_path / "a.slp", *(row for video in videos for row in one_point(video, 0, 1)))
    images = None
    if moved:
        images = tmp_path / "elsewhere"
        (tmp_path / "labeled-data").rename(images)
    dataset = read(path, NO_SCHEME, images)
    found = dataset.splits[""]
    assert [image.file_name for image in found] == [name for names in NAMES for name in names]
    root = images or tmp_path / "labeled-data"
    assert [image.path for image in found] == [root / image.file_name for image in found]
    assert {(image.width, image.height) for image in found} == {(30, 20)}


def test_frames_of_videos_are_found_where_the_user_says(tmp_path, video):
    path = save(tmp_path / "a.slp", *one_point(sio.Video.from_filename(str(video)), 1, 3))
    moved = video.rename(tmp_path / "moved.avi").parent / "new"
    moved.mkdir()
    (tmp_path / "moved.avi").rename(moved / "trot.avi")
    missing = read(path, NO_SCHEME).splits[""]
    assert [(image.exists, image.width) for image in missing] == [(False, 64), (False, 64)]
    with pytest.raises(FileNotFoundError):
        convert("sleap", path, tmp_path / "out", target_name="coco")
    reading = Reading(images=moved)
    convert("sleap", path, tmp_path / "out", target_name="coco", reading=reading)
    written = sorted((tmp_path / "out/images/train").iterdir())
    assert [file.name for file in written] == [f"video0_trot_00000{n}.png" for n in (1, 3)]
    values = [float(np.asarray(Image.open(file)).mean()) for file in written]
    np.testing.assert_allclose(values, [50, 150], atol=3)


@pytest.mark.parametrize("damage", ["not a video", "too short"])
def test_every_video_opens_before_anything_is_written(tmp_path, video, damage):
    bad = tmp_path / "videos/bad.avi"
    bad.write_bytes(video.read_bytes())
    good, other = (sio.Video.from_filename(str(path)) for path in (video, bad))
    last = 3 if damage == "not a video" else 99
    path = save(tmp_path / "a.slp", *one_point(good, 1), *one_point(other, 1, last))
    if damage == "not a video":
        bad.write_bytes(b"no video")
    with pytest.raises(ValueError, match=r"frame \d+ of .*bad.avi, which .* cannot be read"):
        convert("sleap", path, tmp_path / "out", target_name="coco")
    assert not (tmp_path / "out").exists()
