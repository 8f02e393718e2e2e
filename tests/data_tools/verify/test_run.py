from __future__ import annotations

import json

import pytest

from equikpt.data_tools.verify.run import first_errors, verify, verify_quickly
from tests.data_tools.verify.conftest import people


@pytest.fixture
def spoilt(tmp_path):
    """A file with an area of 0 and, so that only the slow checks see it, one visibility."""
    content = people(60)
    content["annotations"][8]["area"] = 0
    (tmp_path / "labels.json").write_text(json.dumps(content))
    return tmp_path / "labels.json"


def test_the_quick_checks_are_some_of_all(spoilt):
    quick, all_found = verify_quickly([spoilt]), verify([spoilt]).faults
    assert [fault.check for fault in quick] == ["area_not_positive"]
    assert [fault.check for fault in all_found] == ["area_not_positive", "one_visibility"]


def test_first_errors_are_one_sentence_for_who_must_stop(spoilt):
    faults = verify_quickly([spoilt])
    assert "annotation 9 has 0" in first_errors(faults)
    assert "area_from_bbox" in first_errors(faults)
    assert first_errors(faults * 5).endswith("and 2 more")
    assert first_errors([]) == ""


def test_a_verdict_counts(spoilt):
    verdict = verify([spoilt])
    assert [verdict.count(level) for level in ("error", "warning", "info")] == [1, 0, 1]
    assert list(verdict.statistics) == [str(spoilt)]


def test_the_same_call_finds_the_same(spoilt):
    assert verify([spoilt]).faults == verify([spoilt]).faults


MISTAKES = [
    # arguments after the file, and what the sentence says
    pytest.param({"img_dirs": ["nowhere"]}, FileNotFoundError, "there is none", id="no folder"),
    pytest.param({"img_dirs": [".", ".", "."]}, ValueError, "got 3", id="too many folders"),
    pytest.param({"metainfo": "horse27"}, ValueError, "horse26, p1p2, coco17", id="metainfo"),
]


@pytest.mark.parametrize(("options", "kind", "words"), MISTAKES)
def test_mistakes_are_sentences(spoilt, options, kind, words):
    if "img_dirs" in options:
        options = {"img_dirs": [spoilt.parent / name for name in options["img_dirs"]]}
    with pytest.raises(kind, match=words):
        verify([spoilt], **options)


def test_a_file_named_twice_is_a_mistake(spoilt):
    with pytest.raises(ValueError, match="name it once"):
        verify([spoilt, spoilt])


def test_a_label_studio_export_goes_to_its_own_tool(tmp_path):
    (tmp_path / "tasks.json").write_text("[]")
    with pytest.raises(ValueError, match=r"check_annotations_quality\.py"):
        verify([tmp_path / "tasks.json"])
