from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equikpt.data_tools.convert.conversion import convert
from equikpt.data_tools.convert.schemes import NO_SCHEME
from equikpt.data_tools.convert.sleap import read


def test_sleap_needs_sleap_io(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sleap_io", None)
    with pytest.raises(ImportError, match=r"needs sleap-io, .* pip install 'equikpt\[formats\]'"):
        read(tmp_path / "a.slp", NO_SCHEME)


@pytest.fixture
def project(tmp_path):
    """``project(embed=False)``: two pictures, two animals on the first, a prediction on both."""
    sio = pytest.importorskip("sleap_io")

    def make(embed: bool = False) -> Path:
        rng = np.random.default_rng(0)
        paths = []
        for name in ("a.png", "b.png"):
            path = tmp_path / name
            Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
            paths.append(str(path))
        video = sio.Video.from_filename(paths)
        skeleton = sio.Skeleton(["nose", "tail"])

        def instance(kind, *points):
            return kind.from_numpy(np.array(points, dtype=float), skeleton=skeleton)

        first = [
            instance(sio.Instance, (3, 4), (5.5, 6)),
            instance(sio.Instance, (13, 14), (np.nan, np.nan)),
            instance(sio.PredictedInstance, (1, 1), (2, 2)),
        ]
        second = [instance(sio.PredictedInstance, (1, 1), (2, 2))]
        frames = [
            sio.LabeledFrame(video=video, frame_idx=0, instances=first),
            sio.LabeledFrame(video=video, frame_idx=1, instances=second),
        ]
        labels = sio.Labels(frames, videos=[video], skeletons=[skeleton])
        path = tmp_path / ("labels.pkg.slp" if embed else "labels.slp")
        labels.save(str(path), embed="user" if embed else False)
        return path

    return make


def test_labelled_instances_are_read_and_predicted_ones_told(project):
    dataset = read(project(), NO_SCHEME)
    assert dataset.keypoints == ("nose", "tail")
    (image,) = dataset.splits[""]
    assert (image.file_name, image.width, image.height) == ("a.png", 30, 20)
    first, second = (instance.keypoints.tolist() for instance in image.instances)
    assert first == [[3, 4, 2], [5.5, 6, 2]]
    assert second == [[13, 14, 2], [0, 0, 0]]
    assert dataset.notes == ["2 predicted instances are not read: they are no labels"]


def test_embedded_frames_become_pictures(project, tmp_path):
    path = project(embed=True)
    pixels = np.asarray(Image.open(tmp_path / "a.png"))
    for name in ("a.png", "b.png"):
        (tmp_path / name).unlink()
    convert("sleap", path, tmp_path / "out", target_name="coco")
    (written,) = (tmp_path / "out/images/train").iterdir()
    np.testing.assert_array_equal(np.asarray(Image.open(written)), pixels)


def test_what_is_no_project_is_refused(tmp_path):
    pytest.importorskip("sleap_io")
    (tmp_path / "a.slp").write_bytes(b"no hdf5")
    with pytest.raises(ValueError, match="is no SLEAP file"):
        read(tmp_path / "a.slp", NO_SCHEME)
