import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from equikpt.data_tools.convert.deeplabcut import read
from equikpt.data_tools.convert.schemes import NO_SCHEME, KeypointScheme

SINGLE = """scorer,me,me,me,me
bodyparts,nose,nose,tail,tail
coords,x,y,x,y
labeled-data/video/a.png,1.5,2.5,7,
labeled-data/video/b.png,,,,
labeled-data/video/c.png,3,4,5,6
"""
SEVERAL = """scorer,,,me,me,me,me,me,me
individuals,,,m1,m1,m2,m2,single,single
bodyparts,,,nose,nose,nose,nose,cage,cage
coords,,,x,y,x,y,x,y
labeled-data,video,a.png,1,2,3,4,5,6
labeled-data,video,b.png,,,7,8,,
"""
PREDICTED = """scorer,net,net,net
bodyparts,nose,nose,nose
coords,x,y,likelihood
labeled-data/video/a.png,1,2,0.75
"""


@pytest.fixture
def project(tmp_path):
    """``project(text)``: a project's folder with one table and its images, 20 x 10 px."""

    def make(text: str = SINGLE, name: str = "CollectedData_me.csv") -> Path:
        folder = tmp_path / "project/labeled-data/video"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        for stem in "abc":
            Image.new("RGB", (20, 10)).save(folder / f"{stem}.png")
        return tmp_path / "project"

    return make


def test_cells_become_points(project):
    root = project()
    dataset = read(root, NO_SCHEME)
    assert dataset.keypoints == ("nose", "tail")
    first, second, third = dataset.splits[""]
    assert (first.file_name, first.width, first.height) == ("labeled-data/video/a.png", 20, 10)
    assert first.path == root / "labeled-data/video/a.png"
    (instance,) = first.instances
    np.testing.assert_array_equal(instance.keypoints, [[1.5, 2.5, 2], [0, 0, 0]])
    assert (instance.box_px, instance.scores) == (None, None)
    assert second.instances == ()
    np.testing.assert_array_equal(third.instances[0].keypoints, [[3, 4, 2], [5, 6, 2]])
    halves, bare = dataset.notes
    assert halves.startswith("1 points with one coordinate")
    assert bare.endswith("(labeled-data/video/b.png)")


def test_individuals_are_animals_and_the_path_may_have_three_columns(project):
    """A unique body part is there once in an image and belongs to none of them."""
    dataset = read(project(SEVERAL), NO_SCHEME)
    assert dataset.keypoints == ("nose",)
    first, second = dataset.splits[""]
    assert first.file_name == "labeled-data/video/a.png"
    points = [instance.keypoints.tolist() for instance in first.instances]
    assert points == [[[1, 2, 2]], [[3, 4, 2]]]
    assert [instance.keypoints[0].tolist() for instance in second.instances] == [[7, 8, 2]]
    (note,) = dataset.notes
    assert note.endswith("which belong to no animal, are left out: cage")


def test_unique_parts_alone_are_what_is_labelled(project):
    text = SEVERAL.replace("m1", "single").replace("m2", "single").replace("nose", "lid", 2)
    dataset = read(project(text), NO_SCHEME)
    assert dataset.keypoints == ("lid", "nose", "cage")
    assert [len(image.instances) for image in dataset.splits[""]] == [1, 1]


def test_likelihoods_are_scores(project):
    root = project(PREDICTED, "machinelabels-iter0.csv")
    dataset = read(root, NO_SCHEME)
    np.testing.assert_array_equal(dataset.splits[""][0].instances[0].scores, [0.75])
    assert "machinelabels are predictions" in dataset.notes[0]


def test_body_parts_may_be_chosen(project):
    dataset = read(project(), KeypointScheme(("tail",), {}))
    assert dataset.keypoints == ("tail",)
    assert [len(image.instances) for image in dataset.splits[""]] == [0, 0, 1]


def test_without_images_the_sizes_are_not_known(project):
    root = project()
    (root / "labeled-data/video/a.png").unlink()
    image = read(root, NO_SCHEME).splits[""][0]
    assert (image.width, image.height, image.exists) == (0, 0, False)


@pytest.mark.parametrize("text", [SINGLE, SEVERAL], ids=["one animal", "several"])
def test_h5_and_csv_are_read_alike(project, text):
    pytest.importorskip("tables")
    root = project(text)
    path = next(root.rglob("*.csv"))
    rows, columns = (4, 3) if text is SEVERAL else (3, 1)
    table = pd.read_csv(path, header=list(range(rows)), index_col=list(range(columns)))
    table.to_hdf(path.with_suffix(".h5"), key="df_with_missing", mode="w")
    both = read(root, NO_SCHEME)
    assert "1 h5 files have a csv beside them, which is read" in both.notes
    path.unlink()
    alone = read(root, NO_SCHEME)
    assert alone.keypoints == both.keypoints
    for image, other in zip(alone.images(), both.images(), strict=True):
        assert image.file_name == other.file_name
        for instance, expected in zip(image.instances, other.instances, strict=True):
            np.testing.assert_array_equal(instance.keypoints, expected.keypoints)


def test_an_h5_needs_h5py(project, monkeypatch):
    root = project()
    path = next(root.rglob("*.csv")).with_name("CollectedData_me.h5")
    path.write_bytes(b"")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match="h5py"):
        read(path, NO_SCHEME)


def test_a_mapping_cannot_list_parts_that_are_not_there(project):
    with pytest.raises(ValueError, match="'tial'"):
        read(project(), KeypointScheme(("nose", "tial"), {}))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
def test_tables_are_read_as_spreadsheets_save_them(project, encoding, separator):
    """With a decimal comma where the comma does not separate, and empty rows at the end."""
    text = SINGLE.replace("a.png", "é.png").replace(",", separator) + 4 * separator + "\n"
    if separator != ",":
        text = text.replace(".5", ",5")
    root = project()
    path = root / "labeled-data/video/CollectedData_me.csv"
    (path.parent / "a.png").rename(path.parent / "é.png")
    path.write_bytes(text.replace("\n", "\r\n").encode(encoding))
    first, _, third = read(root, NO_SCHEME).splits[""]
    assert (first.file_name, first.width) == ("labeled-data/video/é.png", 20)
    np.testing.assert_array_equal(first.instances[0].keypoints, [[1.5, 2.5, 2], [0, 0, 0]])
    np.testing.assert_array_equal(third.instances[0].keypoints, [[3, 4, 2], [5, 6, 2]])


def test_only_the_tables_of_the_project_are_read(project):
    """After a conversion to several animals: backups, copies for training, another's labels."""
    root = project(SEVERAL)
    for name in ("CollectedData_mesingleanimal.csv", "CollectedData_you.csv"):
        project(SINGLE, name)
    copies = root / "training-datasets/iteration-0/UnaugmentedDataSet/CollectedData_me.csv"
    copies.parent.mkdir(parents=True)
    copies.write_text(SEVERAL)
    with pytest.raises(ValueError, match="CollectedData_you"):
        read(root, NO_SCHEME)
    (root / "config.yaml").write_text("scorer: me\n")
    for source in (root, root / "labeled-data"):
        dataset = read(source, NO_SCHEME)
        assert [len(image.instances) for image in dataset.splits[""]] == [2, 1]
        assert dataset.notes[0].startswith("copies and backups of labels are left out (")
    text = "scorer: me\nskeleton: [[nose, tail], [bodypart1], 3]\n"
    (root / "config.yaml").write_text(text)
    assert read(root, NO_SCHEME).links == (("nose", "tail"),)
    (root / "config.yaml").write_text("scorer: her\n")
    with pytest.raises(FileNotFoundError, match="/CollectedData_her"):
        read(root, NO_SCHEME)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("a,b\n1,2\n", "begins with rows a, 1", id="no header"),
        pytest.param(SINGLE.replace("1.5", "x"), "line 4, .* no number", id="a word"),
        pytest.param(SINGLE.replace("1.5", "inf"), "infinite coordinates", id="infinite"),
        pytest.param(SINGLE.replace("1.5,2.5,7,", "1"), "line 4, has 2 cells", id="a short row"),
        pytest.param(SINGLE.replace("x,y,x,y", "x,z,x,y"), "has coords z", id="coords"),
        pytest.param(SINGLE.replace("me,me\n", "me,you\n"), "of 2 scorers", id="two scorers"),
        pytest.param(SINGLE.replace("tail", "nose"), "column nose x twice", id="a part twice"),
    ],
)
def test_what_is_no_table_is_refused(project, text, said):
    with pytest.raises(ValueError, match=said):
        read(project(text), NO_SCHEME)


def test_a_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="CollectedData"):
        read(tmp_path, NO_SCHEME)
