import shutil
import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pytest
from PIL import Image

from equikpt.data_tools.convert.cvat import read
from equikpt.data_tools.convert.cvat_xml import links_of_drawings
from equikpt.data_tools.convert.grouping import NESTED, SEVERAL, LooseBox, LoosePoint, animals
from equikpt.data_tools.convert.schemes import NO_SCHEME, KeypointScheme
from tests.data_tools.convert.conftest import write_backup

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


def test_the_drawing_of_a_skeleton_has_its_lines(export):
    circles = "".join(
        f'<circle cx="1" cy="1" data-node-id="{number}" data-label-name="{name}"></circle>'
        for number, name in enumerate(("nose", "a &amp; b", "ear"), 1)
    )
    line = '<line x1="1" data-type="edge" data-node-from="{}" data-node-to="{}"></line>'
    drawing = circles + line.format(1, 2) + line.format(3, 1) + line.format(1, 9)
    assert links_of_drawings(["", drawing]) == (("nose", "a & b"), ("ear", "nose"))
    path = export() / "annotations.xml"
    text = path.read_text().replace("</label>", f"<svg>{escape(drawing)}</svg></label>", 1)
    path.write_text(text)
    assert read(path, NO_SCHEME).links == (("nose", "a & b"), ("ear", "nose"))


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
    doubled, others = dataset.notes
    assert "2 × nose" in doubled
    assert "1 polygon" in others


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
    with pytest.raises(ValueError, match="video'"):
        read(export(image="<track id='0'/>"), NO_SCHEME)
    (tmp_path / "annotations.xml").unlink()
    with pytest.raises(FileNotFoundError):
        read(tmp_path, NO_SCHEME)


def test_images_are_found_beside_the_labels(export):
    root = export()
    assert not only(read(root, NO_SCHEME)).exists
    (root / "images/video").mkdir(parents=True)
    Image.new("RGB", (50, 40)).save(root / "images/video/a.png")
    assert only(read(root, NO_SCHEME)).path == root / "images/video/a.png"


# --- backups ---


def element(label, x, y, **flags) -> dict:
    flags = {"occluded": False, "outside": False, **flags}
    return {"type": "points", "label": label, "points": [x, y], "frame": 0, **flags}


def skeleton(frame, *elements) -> dict:
    shape = {"type": "skeleton", "label": "horse", "frame": frame, "group": 0, "points": []}
    return {**shape, "elements": list(elements)}


FIRST = skeleton(0, element("tail", 8, 9, occluded=True), element("nose", 3, 4))
SECOND = skeleton(1, element("nose", 5, 6), element("tail", 1, 1, outside=True))


@pytest.fixture
def backup(tmp_path):
    """``backup(jobs, tasks=1)``: a project with tasks of two images each."""
    default = [{"shapes": [FIRST], "tracks": []}, {"shapes": [SECOND], "tracks": []}]

    def make(jobs=default, **options) -> Path:
        write_backup(tmp_path / "backup", jobs, **options)
        return tmp_path / "backup"

    return make


def points_of(image) -> list:
    (instance,) = image.instances
    return instance.keypoints.tolist()


@pytest.mark.parametrize("form", ["project", "zip", "task"])
def test_skeletons_of_all_jobs_are_read(backup, tmp_path, form):
    root = source = backup()
    if form == "zip":
        source = Path(shutil.make_archive(str(tmp_path / "zipped"), "zip", root))
    dataset = read(root / "task_0" if form == "task" else source, NO_SCHEME)
    assert dataset.keypoints == ("nose", "tail")
    first, second = dataset.splits["train"]
    assert (first.file_name, first.width, first.height) == ("a.png", 20, 10)
    assert form == "zip" or first.path == root / "task_0/data/a.png"
    assert first.exists
    assert points_of(first) == [[3, 4, 2], [8, 9, 1]]
    assert points_of(second) == [[5, 6, 2], [0, 0, 0]]
    assert dataset.notes == []


def test_images_of_two_tasks_are_kept_apart(backup):
    images = read(backup(tasks=2), NO_SCHEME).splits["train"]
    names = [f"task_{task}/{name}.png" for task in range(2) for name in "ab"]
    assert [image.file_name for image in images] == names
    assert [image.path.parent.parent.name for image in images] == ["task_0"] * 2 + ["task_1"] * 2


@pytest.mark.parametrize(
    ("rotation", "box"), [(None, (1, 2, 10, 7)), (0.0, (1, 2, 10, 7)), (90.0, (2.5, 0.5, 7, 10))]
)
def test_rectangles_and_points_are_read(backup, rotation, box):
    shape = {"type": "rectangle", "label": "horse", "frame": 0, "points": [1, 2, 11, 9]}
    shapes = [{**shape, "group": 3, "rotation": rotation}, {**element("nose", 3, 4), "group": 3}]
    first, _ = read(backup([{"shapes": shapes, "tracks": []}]), NO_SCHEME).splits["train"]
    assert points_of(first) == [[3, 4, 2], [0, 0, 0]]
    assert first.instances[0].box_px == pytest.approx(box)


def test_key_frames_of_tracks_are_read_and_noted(backup):
    track = {
        "label": "horse",
        "shapes": [
            {"type": "skeleton", "frame": 0, "outside": False, "points": []},
            {"type": "skeleton", "frame": 1, "outside": True, "points": []},
        ],
        "elements": [
            {"label": "nose", "shapes": [element("", 3, 4), {**element("", 9, 9), "frame": 1}]},
            {"label": "tail", "shapes": [{**element("", 7, 8, occluded=True), "frame": 0}]},
        ],
    }
    dataset = read(backup([{"shapes": [], "tracks": [track]}]), NO_SCHEME)
    first, second = dataset.splits["train"]
    assert points_of(first) == [[3, 4, 2], [7, 8, 1]]
    assert second.instances == ()
    assert dataset.notes[0].startswith("1 tracks: their key frames are read")


def test_deleted_frames_are_left_out(backup):
    (image,) = read(backup(data={"deleted_frames": [0]}), NO_SCHEME).splits["train"]
    assert image.file_name == "b.png"
    assert points_of(image) == [[5, 6, 2], [0, 0, 0]]


@pytest.mark.parametrize(
    ("name", "text", "error", "said"),
    [
        ("data/manifest.jsonl", '{"type": "video"}', ValueError, "task_0.*is of a video"),
        ("data/manifest.jsonl", '{"a": 1}', ValueError, "lists no images"),
        ("data/manifest.jsonl", None, FileNotFoundError, "make the backup again"),
        (
            "annotations.json",
            '[{"shapes": [{"type": "points"}]}]',
            ValueError,
            r"\[0\].shapes\[0\]: expected an object with 'frame'",
        ),
    ],
    ids=["video", "no images", "no manifest", "no shape"],
)
def test_what_is_no_backup_is_refused(backup, name, text, error, said):
    root = backup()
    path = root / "task_0" / name
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(error, match=said):
        read(root, NO_SCHEME)


def test_a_project_without_tasks_is_refused(backup):
    with pytest.raises(FileNotFoundError):
        read(backup(tasks=0), NO_SCHEME)


# --- single points and rectangles ---

NAMES = ("nose", "tail")
LEFT, RIGHT = LooseBox((0, 0, 40, 40), "horse"), LooseBox((50, 0, 40, 40), "foal")
BIG = LooseBox((0, 0, 100, 100), "herd")


def grouped(points, boxes) -> tuple[list[tuple[str, dict]], list[tuple[str, str]]]:
    """Class and labelled points of each animal, and remarks."""
    found, remarks = animals(points, boxes, NAMES)
    labelled = [
        {name: tuple(xyv[:2]) for name, xyv in zip(NAMES, item.keypoints, strict=True) if xyv[2]}
        for item in found
    ]
    return [(item.category, own) for item, own in zip(found, labelled, strict=True)], remarks


def test_points_go_to_their_group_else_to_the_rectangle_they_lie_in():
    points = [LoosePoint("nose", 60, 5), LoosePoint("nose", 5, 5), LoosePoint("tail", 30, 6, 1)]
    expected = [("horse", {"nose": (5, 5), "tail": (30, 6)}), ("foal", {"nose": (60, 5)})]
    assert grouped(points, [LEFT, RIGHT]) == (expected, [])
    assert animals(points, [LEFT], NAMES)[0][0].keypoints[1, 2] == 1
    points = [LoosePoint("nose", 60, 5, group="a"), LoosePoint("tail", 5, 5, group="b")]
    boxes = [LooseBox(LEFT.box_px, "horse", group="a"), RIGHT]
    expected = [("horse", {"nose": (60, 5)}), ("foal", {}), ("", {"tail": (5, 5)})]
    assert grouped(points, boxes) == (expected, [])
    assert animals(points, boxes, NAMES)[0][2].box_px is None


def test_without_rectangles_and_groups_there_is_one_animal():
    points = [LoosePoint("nose", 1, 2), LoosePoint("tail", 3, 4)]
    assert grouped(points, []) == ([("", {"nose": (1, 2), "tail": (3, 4)})], [])
    assert animals(points, [], NAMES)[0][0].box_px is None
    assert animals([], [], NAMES) == ([], [])
    points = [LoosePoint("nose", 1, 2), LoosePoint("nose", 3, 4), LoosePoint("tail", 5, 6)]
    expected = [("", {"tail": (5, 6)})]
    assert grouped(points, []) == (expected, [(SEVERAL, "2 × nose")])


def test_points_of_a_set_of_one_are_instances_each():
    points = [LoosePoint("tip", 1, 2), LoosePoint("tip", 3, 4), LoosePoint("tip", 60, 5)]
    found, remarks = animals(points, [RIGHT], ["tip"])
    assert remarks == []
    assert [(item.category, tuple(item.keypoints[0, :2])) for item in found] == [
        ("foal", (60, 5)),
        ("", (1, 2)),
        ("", (3, 4)),
    ]


@pytest.mark.parametrize("boxes", [[BIG, LEFT], [LEFT, BIG]], ids=["big first", "small first"])
def test_of_several_rectangles_the_smallest_is_taken_and_noted(boxes):
    found, remarks = grouped([LoosePoint("nose", 5, 5)], boxes)
    assert dict(found)["horse"]
    assert remarks == [(NESTED, "nose in 2")]


def test_scores_are_those_of_the_points():
    (item,), _ = animals([LoosePoint("tail", 3, 4, score=0.75)], [], NAMES)
    np.testing.assert_array_equal(item.scores, [0, 0.75])
    (label,), _ = animals([LoosePoint("tail", 3, 4)], [], NAMES)
    assert label.scores is None
