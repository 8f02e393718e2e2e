import csv
import json

from tests.data_tools.verify.conftest import people

TOOL = "verify_dataset"


def test_errors_are_printed_written_and_the_exit_code_says_so(call_tool, tmp_path):
    labels, content = tmp_path / "labels.json", people(8)
    labels.write_text(json.dumps(content))
    assert "0 errors, 0 warnings" in call_tool(TOOL, "--ann-file", labels)

    content["annotations"][2]["area"] = 0
    labels.write_text(json.dumps(content))
    as_json, as_csv, page = (tmp_path / "out" / f"found.{kind}" for kind in ("json", "csv", "html"))
    arguments = ("--ann-file", labels, "--json", as_json, "--csv", as_csv, "--report", page)
    printed = call_tool(TOOL, *arguments, code=1)
    assert "1 error, 0 warnings, 0 for information" in printed
    assert "3.png, annotation 3: " in printed
    (issue,) = json.loads(as_json.read_text())["faults"]
    (row,) = csv.DictReader(as_csv.read_text().splitlines())
    assert issue["check"] == row["check"] == "area_not_positive"
    assert issue["annotation_id"] == int(row["annotation_id"]) == 3
    assert issue["to_do"] == row["to_do"] != ""
    assert page.read_text().startswith("<!doctype html>")
    assert "overwrite" in call_tool(TOOL, *arguments, code=2)
    call_tool(TOOL, *arguments, "--force", code=1)


def test_the_known_traps_of_a_real_set_are_found(call_tool, real_data, tmp_path):
    """Its width and height are exchanged, its boxes' y is the bottom, and an image is missing."""
    folder, out = real_data / "horse10_sample20", tmp_path / "found.json"
    arguments = ("--ann-file", folder / "horse.json", "--img-dir", folder, "--json", out)
    call_tool(TOOL, *arguments, code=1)
    found = json.loads(out.read_text())["faults"]
    by_check = {issue["check"]: issue for issue in found}
    assert "read as [x, y, width, height] with y the bottom" in by_check["box_form"]["sentence"]
    assert "size_form" in by_check
    assert by_check["missing_image"]["image"].endswith("0112.png")
    assert sum(issue["check"] == "image_size" for issue in found) == 141


def test_real_labels_that_train_well_have_no_errors(call_tool, real_data):
    folder = real_data / "mmpose_samples"
    for name in ("ap10k", "animalpose", "horse10"):
        labels = folder / name / f"test_{name}.json"
        call_tool(TOOL, "--ann-file", labels, "--img-dir", folder / name)
