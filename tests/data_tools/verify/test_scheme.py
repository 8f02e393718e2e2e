import pytest

from equikpt.data_tools.verify import METAINFOS
from equikpt.data_tools.verify.scheme import OWN_ORDER, find_scheme
from equikpt.metainfo import coco17, keypoint_set_text


def content(**category) -> dict:
    return dict(annotations=[], categories=[dict(id=1, name="animal", **category)])


@pytest.mark.parametrize("name", METAINFOS)
def test_a_metainfo_is_taken_by_its_name(name):
    scheme = find_scheme(name, [])
    assert scheme.name == name
    assert scheme.swap[scheme.swap].tolist() == list(range(len(scheme.names)))
    assert scheme.links.max() < len(scheme.names)
    assert scheme.metainfo["dataset_name"] == name


def test_the_file_of_a_set_is_taken_as_it_is(tmp_path):
    path = tmp_path / "keypoints.py"
    path.write_text(keypoint_set_text(coco17.METAINFO, "of a test"))
    scheme = find_scheme(str(path), [content(keypoints=["other"])])
    assert scheme.metainfo == coco17.METAINFO
    known = find_scheme("coco17", [])
    assert (scheme.name, scheme.names) == (known.name, known.names)
    assert scheme.swap.tolist() == known.swap.tolist()
    assert scheme.links.tolist() == known.links.tolist()
    assert scheme.drawing()["keypoint_colors"][1] == [0, 255, 0]


def test_names_in_another_order_are_those_of_the_metainfo():
    names = [point.name for point in coco17.KEYPOINTS]
    assert find_scheme(None, [content(keypoints=names[::-1])]).names == tuple(names)


def test_names_keep_their_own_order_where_that_is_asked_for():
    names = [point.name for point in coco17.KEYPOINTS]
    turned = find_scheme(OWN_ORDER, [content(keypoints=names[::-1])])
    assert turned.names == tuple(names[::-1])
    assert turned.swap[0] == 1  # right_ankle, left_ankle
    assert len(find_scheme(OWN_ORDER, [content(keypoints=names)]).links) == 19  # COCO's


def test_names_of_the_file_or_the_usual_number_count():
    category = content(keypoints=["nose", "L_Eye", "R_Eye"], skeleton=[[1, 2], [1, 3], [9, 1]])
    scheme = find_scheme(None, [category])
    assert scheme.name == "file"
    assert scheme.swap.tolist() == [0, 2, 1]
    assert scheme.links.tolist() == [[0, 1], [0, 2]]
    rows = [dict(keypoints=[0] * 9), dict(keypoints=[0] * 9), dict(keypoints=[0] * 3)]
    scheme = find_scheme(None, [dict(annotations=rows, categories=[dict(id=1, name="x")])])
    assert scheme.names == ("point 0", "point 1", "point 2")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("horse27", []), "horse26, p1p2, coco17"), ((None, [content()]), "export the file with")],
    ids=["unknown", "no keypoints"],
)
def test_mistakes_are_sentences(arguments, words):
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        find_scheme(*arguments)
