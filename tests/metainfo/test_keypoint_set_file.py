from __future__ import annotations

import copy
import re

import pytest
from mmengine import Config

from equikpt.metainfo import (
    coco17,
    horse26,
    keypoint_set_text,
    p1p2,
    read_keypoint_set,
)
from equikpt.metainfo.keypoint_set_file import with_sigmas

SETS = [each.METAINFO for each in (horse26, coco17, p1p2)]


@pytest.mark.parametrize("metainfo", SETS, ids=lambda each: each["dataset_name"])
def test_written_and_read_it_is_the_same(tmp_path, metainfo):
    path = tmp_path / "keypoints.py"
    own = {**metainfo, "sigmas_source": "guess: of a test", "paper_info": {"year": "2021"}}
    path.write_text(keypoint_set_text(own, ("one", "two"), ["# remark"] * len(own["sigmas"])))
    assert read_keypoint_set(path) == own
    assert path.read_text().startswith("# one\n# two\ndataset_info = dict(\n")


SHORT = """
# by hand
dataset_info = dict(dataset_name='ears', joint_weights=[1, 1],
    sigmas=[0.1,  # é
            0.1], sigmas_source=("guess: " "é"),
    keypoint_info={0: dict(name='a'), 1: dict(name='b')})
dataset_info["joint_weights"][0] = 2
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_sigmas_are_put_into_a_file_and_the_rest_stays(end):
    text = SHORT.replace("\n", end)
    new = with_sigmas(text, ["a", "b"], [0.2, 0.3], ["", "30 distances"], "measured: é {{ x }}")
    scope: dict = {}
    exec(new, scope)
    assert scope["dataset_info"]["sigmas"] == [0.2, 0.3]
    assert scope["dataset_info"]["sigmas_source"] == "measured: é {{ x }}"
    assert "{{" not in new
    start, last = text.index("sigmas="), text.index(f",{end}    keypoint_info")
    assert new.startswith(text[:start])
    assert new.endswith(text[last:])
    assert "0.3,  # 'b': 30 distances" in new


@pytest.mark.parametrize(
    "text",
    ["dataset_info = {'sigmas': [0.1]}", "x = dict(sigmas=[1])", "dataset_info = dict(**x)"],
)
def test_a_file_that_states_no_sigmas_is_not_edited(text):
    with pytest.raises(ValueError, match="no dataset_info = dict"):
        with_sigmas(text, ["a"], [0.2], [""], "measured")


HOSTILE = ("\n", "\r", "\x0b", "\x85", "\u2028", "'\n", '"\n', "\\\n", "{{ fileDirname }}", "#")


def test_names_and_headers_never_become_code(tmp_path):
    for text in HOSTILE:
        name = f"a{text}raise SystemExit"
        metainfo = copy.deepcopy(p1p2.METAINFO)
        metainfo["keypoint_info"][0]["name"] = metainfo["dataset_name"] = name
        metainfo["skeleton_info"] = {}
        path = tmp_path / "keypoints.py"
        path.write_text(keypoint_set_text(metainfo, name), encoding="utf-8")
        read = read_keypoint_set(path)
        assert read["dataset_name"] == read["keypoint_info"][0]["name"] == name


def test_what_mmpose_lets_be_absent_is_filled_in(tmp_path):
    path = tmp_path / "short.py"
    path.write_text(
        "dataset_info = dict(dataset_name='ears', joint_weights=[1, 1], sigmas=[0.1, 0.1],\n"
        "    keypoint_info={0: dict(name='A', swap='B', color=[1, 2, 3]), 1: dict(name='B',\n"
        "    swap='A')})\n"
    )
    rows = read_keypoint_set(path)["keypoint_info"]
    assert [row["type"] for row in rows.values()] == ["", ""]
    assert rows[0]["color"] == [1, 2, 3]
    assert rows[1]["color"] == [255, 128, 0]  # the second of a pair stands for the right


def _without(key):
    return lambda info: info.pop(key)


def _row(**fields):
    return lambda info: info["keypoint_info"][1].update(fields)


MISTAKES = {
    "no sigmas": (_without("sigmas"), "has no sigmas; it needs dataset_name,"),
    "no keypoints": (lambda i: i.update(keypoint_info={}), "numbers; expected 0"),
    "a list": (lambda i: i.update(keypoint_info=[1]), "keypoint_info is no table; expected rows"),
    "numbers": (lambda i: i["keypoint_info"].update({9: i["keypoint_info"].pop(1)}), "0, 9"),
    "no name": (lambda i: i["keypoint_info"][1].pop("name"), "a keypoint has name None"),
    "name twice": (_row(name="p1"), "'p1' stands in rows 0 and 1"),
    "part": (_row(type="head"), "'p2' has part 'head'"),
    "swap": (_row(swap="p1"), "'p2' swaps with 'p1', but 'p1' swaps with nothing"),
    "unknown swap": (_row(swap="p3"), "'p2' swaps with 'p3'"),
    "color": (_row(color="red"), "keypoint_info has color 'red'; expected red, green and blue"),
    "few sigmas": (lambda i: i["sigmas"].pop(), "sigmas has 1 numbers; expected 2"),
    "a text": (lambda i: i.update(sigmas="0.1"), "sigmas is '0.1'; expected a list of 2"),
    "sigma 0": (lambda i: i.update(sigmas=[0, 0.1]), "'p1' has sigma 0"),
    "link": (lambda i: i["skeleton_info"][0].update(link=["p1"]), "has link ['p1']; expected two"),
    "link's end": (lambda i: i["skeleton_info"][0].update(link=["p1", "p9"]), "names 'p9'"),
}


@pytest.mark.parametrize(("spoil", "message"), MISTAKES.values(), ids=list(MISTAKES))
def test_each_mistake_is_a_sentence_with_the_file(tmp_path, spoil, message):
    path = tmp_path / "keypoints.py"
    info = copy.deepcopy(p1p2.METAINFO)
    spoil(info)
    path.write_text(f"dataset_info = {info!r}\n")
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        read_keypoint_set(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["dataset_info = dict(", "x = 1", "dataset_info = 3", "1 / 0"])
def test_files_that_are_none(tmp_path, text):
    path = tmp_path / "keypoints.py"
    with pytest.raises(FileNotFoundError, match="no keypoint set"):
        read_keypoint_set(path)
    path.write_text(text)
    with pytest.raises(ValueError, match="keypoints.py"):
        read_keypoint_set(path)


def test_a_config_inherits_from_the_file(tmp_path):
    (tmp_path / "keypoints.py").write_text(keypoint_set_text(p1p2.METAINFO, "of a test"))
    (tmp_path / "config.py").write_text("_base_ = 'keypoints.py'\n")
    assert Config.fromfile(tmp_path / "config.py").dataset_info.dataset_name == "p1p2"
