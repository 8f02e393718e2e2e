import csv
import json
import math

import pytest

from equikpt_runtime.cells import CsvTable, JsonTable, cell, csv_text, text_cell, text_of_cell

RISKY = ["=1+1", "+1", "-a.png", "@SUM(A1)", "\t=1", "\r=1", "\n=1"]


@pytest.mark.parametrize("text", [*RISKY, "'=1", "''=1", "'", "''", "'a", "''a", "'-", "a"])
def test_a_spreadsheet_runs_no_cell_and_a_cell_gives_its_text_back(text):
    marked = text_cell(text)
    assert marked == text or marked == f"'{text}"
    assert not marked.startswith(tuple(sign[0] for sign in RISKY))
    assert text_of_cell(marked) == text


@pytest.mark.parametrize("text", ["", "a=b", "1", "a.png", "'tis", " =1"])
def test_other_text_is_left_alone(text):
    assert text_cell(text) == text


def test_numbers_are_numbers():
    values = (-1, -1.5, 1e-7, 1 / 3, True, None, math.nan, -math.inf)
    assert [cell(value) for value in values] == [
        *(-1, "-1.5", "1e-07", "0.333333", True, "", "", "-inf")
    ]


def test_rows_escape_header_and_cells():
    rows = list(csv.reader(csv_text([["=h", "n"], ["=c", -1]]).splitlines()))
    assert rows == [["'=h", "n"], ["'=c", "-1"]]


def test_a_table_is_whole_after_each_row(tmp_path):
    as_csv, as_json = tmp_path / "a" / "t.csv", tmp_path / "a" / "t.json"
    rows = [dict(name="=1", value=math.nan, list=[1]), dict(name="b", value=0.5, list=[])]
    with CsvTable(as_csv, ["name", "value"]) as one, JsonTable(as_json) as other:
        assert not as_csv.exists()
        for number, row in enumerate(rows, start=1):
            one.add(row)
            other.add(row)
            assert len(as_csv.read_text().splitlines()) == number + 1
            assert len(json.loads(as_json.read_text())) == number
    assert as_csv.read_text() == "name,value\n'=1,\nb,0.5\n"
    assert json.loads(as_json.read_text()) == [rows[0] | dict(value=None), rows[1]]
    assert sorted(path.name for path in as_csv.parent.iterdir()) == ["t.csv", "t.json"]


def test_an_empty_table_is_one(tmp_path):
    with CsvTable(tmp_path / "t.csv", ["a"]), JsonTable(tmp_path / "t.json"):
        pass
    assert (tmp_path / "t.csv").read_text() == "a\n"
    assert json.loads((tmp_path / "t.json").read_text()) == []


@pytest.mark.parametrize("rows", [0, 1])
def test_a_run_that_fails_keeps_its_rows_or_the_file_before(tmp_path, rows):
    path = tmp_path / "t.json"
    path.write_text("before")
    table = JsonTable(path)
    for _ in range(rows):
        table.add(dict(a=1))
    table.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert path.read_text() == "before" if rows == 0 else json.loads(path.read_text()) == [{"a": 1}]
    assert [each.name for each in tmp_path.iterdir()] == ["t.json"]


def test_a_link_is_replaced_and_not_what_it_leads_to(tmp_path):
    (tmp_path / "other.csv").write_text("mine")
    (tmp_path / "t.csv").symlink_to(tmp_path / "other.csv")
    with CsvTable(tmp_path / "t.csv", ["a"]) as table:
        table.add(dict(a=1))
    assert (tmp_path / "other.csv").read_text() == "mine"
    assert (tmp_path / "t.csv").read_text() == "a\n1\n"
