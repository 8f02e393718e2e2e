from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equikpt.data_tools.convert.cvat import read
from equikpt.data_tools.convert.schemes import NO_SCHEME, KeypointScheme

LABELS = """
<labels>
 <label><name>horse</name><type>skeleton</type></label>
 <label><name>nose</name><type>points</type><parent>horse</parent></label>
 <label><name>tail</name><type>points</type><parent>horse</parent></label>
 <label><name>ear</name><type>points</type><parent>horse</parent></label>
</labels>
"""
SKELETON = """
<skeleton label="horse" source="manual" z_order="0">
 <points label="tail" outside="0" occluded="1" points="30.50,8.25"/>
 <points label="nose" outside="0" occluded="0" points="5.00,6.00"/>
 <points label="ear" outside="1" occluded="0" points="9.00,9.00"/>
</skeleton>
"""
IMAGE = '<image id="0" name="video/a.png" subset="Validation" width="50" height="40">{}</image>'


@pytest.fixture
def export(tmp_path):
    def make(shapes: str = SKELETON, image: str = IMAGE) -> Path:
        text = f"<annotations><version>1.1</version><meta>{LABELS}</meta>{image.format(shapes)}"
        (tmp_path / "annotations.xml").write_text(text + "</annotations>")
        return tmp_path

    return make


def only(dataset):
    ((image,),) = dataset.splits.values()
    return image


def test_a_skeleton_is_an_animal(export):
    dataset = read(export(), NO_SCHEME)
    assert dataset.keypoints == ("nose", "tail", "ear")
    assert list(dataset.splits) == ["val"]
    image = only(dataset)
    assert (image.file_name, image.width, image.height) == ("video/a.png", 50, 40)
    (instance,) = image.instances
    np.testing.assert_array_equal(instance.keypoints, [[5, 6, 2], [30.5, 8.25, 1], [0, 0, 0]])
    assert (instance.category, instance.box_px) == ("horse", None)
    assert dataset.notes == []


def test_points_and_rectangles_are_animals_by_group(export):
    shapes = """
    <box label="horse" occluded="0" xtl="0" ytl="1" xbr="20" ybr="31" group_id="4"/>
    <points label="nose" occluded="0" points="40,20" group_id="4"/>
    <points label="nose" occluded="1" points="5,5" group_id="0"/>
    <polygon label="horse" occluded="0" points="1,1;2,2;3,3"/>
    """
    dataset = read(export(shapes), NO_SCHEME)
    (instance,) = only(dataset).instances
    # The ungrouped nose lies in the rectangle: two noses, so none.
    assert instance.box_px == (0, 1, 20, 30)
    assert instance.keypoints[0, 2] == 0
    assert dataset.notes == [
        "video/a.png: 2 × nose, not labelled",
        "shapes that are neither skeletons, points nor rectangles are not read (1 polygon)",
    ]


@pytest.mark.parametrize(
    ("rotation", "box"), [(0, (10, 10, 20, 8)), (90, (16, 4, 8, 20)), (180, (10, 10, 20, 8))]
)
def test_a_turned_rectangle_gives_the_box_around_it(export, rotation, box):
    """20 x 8 px, turned about its centre 20, 14."""
    edges = 'xtl="10" ytl="10" xbr="30" ybr="18"'
    shapes = f'<box label="horse" {edges} rotation="{rotation}"/>'
    (instance,) = only(read(export(shapes), NO_SCHEME)).instances
    assert instance.box_px == pytest.approx(box)


def test_the_mapping_gives_the_order(export):
    dataset = read(export(), KeypointScheme(("ear", "nose"), {}))
    assert dataset.keypoints == ("ear", "nose")
    np.testing.assert_array_equal(only(dataset).instances[0].keypoints, [[0, 0, 0], [5, 6, 2]])


def test_a_zip_is_read_like_its_folder(export, tmp_path):
    folder = read(export(), NO_SCHEME)
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.write(tmp_path / "annotations.xml", "annotations.xml")
    zipped = read(tmp_path / "export.zip", NO_SCHEME)
    for image, other in zip(folder.images(), zipped.images(), strict=True):
        np.testing.assert_array_equal(image.instances[0].keypoints, other.instances[0].keypoints)


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        pytest.param('<points label="nose" points="1,2;3,4"/>', "2 points in one", id="no names"),
        pytest.param('<points label="nose"/>', "no image of CVAT's XML", id="no coordinates"),
        pytest.param('<box label="horse" xtl="a"/>', "no image of CVAT's XML", id="no number"),
        pytest.param("<", "is not XML", id="no xml"),
    ],
)
def test_what_is_no_export_is_refused(export, shapes, said):
    with pytest.raises(ValueError, match=said):
        read(export(shapes), NO_SCHEME)


def test_videos_and_other_folders_are_refused(export, tmp_path):
    with pytest.raises(ValueError, match="not 'for video'"):
        read(export(image="<track id='0'/>"), NO_SCHEME)
    (tmp_path / "annotations.xml").unlink()
    with pytest.raises(FileNotFoundError, match="no annotations.xml, project.json or task.json"):
        read(tmp_path, NO_SCHEME)
    (tmp_path / "a.zip").write_text("no zip")
    with pytest.raises(ValueError, match="is no zip file"):
        read(tmp_path / "a.zip", NO_SCHEME)


def test_images_are_found_beside_the_labels(export, tmp_path):
    root = export()
    (root / "images/video").mkdir(parents=True)
    Image.new("RGB", (50, 40)).save(root / "images/video/a.png")
    assert only(read(root, NO_SCHEME)).path == root / "images/video/a.png"
    shutil.rmtree(root / "images")
    assert not only(read(root, NO_SCHEME)).exists
