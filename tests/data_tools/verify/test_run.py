import json
from pathlib import Path

import pytest

from equikpt.core.issues import CODES
from equikpt.data_tools.verify.run import CHECKS, first_errors, to_csv, verify, verify_quickly
from tests.data_tools.verify.conftest import people


@pytest.fixture
def spoilt(tmp_path):
    """A file with an area of 0 and, so that only the slow checks see it, one visibility."""
    content = people(60)
    content["annotations"][8]["area"] = 0
    (tmp_path / "labels.json").write_text(json.dumps(content))
    return tmp_path / "labels.json"


def test_the_quick_checks_are_some_of_all_and_one_line(spoilt):
    quick, all_found = verify_quickly([spoilt]), verify([spoilt]).issues
    assert [issue.code for issue in quick] == ["area_not_positive"]
    assert [issue.code for issue in all_found] == ["area_not_positive", "one_visibility"]
    issues = verify_quickly([spoilt])
    line = first_errors(issues)
    assert issues[0].sentence in line
    assert issues[0].fix in line
    assert first_errors(issues * 5).endswith("and 2 more")
    assert first_errors([]) == ""


def test_a_result_counts_and_the_same_call_finds_the_same(spoilt):
    result = verify([spoilt])
    assert [result.count(level) for level in ("error", "warning", "info")] == [1, 0, 1]
    assert list(result.statistics) == [str(spoilt)]
    assert len(to_csv(result).splitlines()) == 1 + 2
    assert verify([spoilt]).issues == verify([spoilt]).issues


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_has_codes_and_finds_nothing_in_valid_labels(read, name):
    assert name in {row.family for row in CODES.values()}
    assert list(CHECKS[name](read(people(45), people(45, seed=1)))) == []


@pytest.mark.parametrize(
    ("files", "options", "error"),
    [
        (["labels.json"], dict(img_dirs=["nowhere"]), FileNotFoundError),
        (["labels.json"], dict(img_dirs=[".", ".", "."]), ValueError),
        (["labels.json"], dict(metainfo="horse27"), FileNotFoundError),
        (["labels.json", "labels.json"], {}, ValueError),
        (["label_studio.json"], {}, ValueError),
    ],
    ids=["no folder", "too many folders", "metainfo", "named twice", "an export of Label Studio"],
)
def test_mistakes_are_one_sentence(spoilt, monkeypatch, files, options, error):
    monkeypatch.chdir(spoilt.parent)
    Path("label_studio.json").write_text("[]")
    if "img_dirs" in options:
        options = dict(img_dirs=[Path(name) for name in options["img_dirs"]])
    with pytest.raises(error, match="^[^\n]+$"):
        verify([Path(name) for name in files], **options)
