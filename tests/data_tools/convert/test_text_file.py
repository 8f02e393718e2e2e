from __future__ import annotations

import pytest

from equikpt.data_tools.convert.text_file import read_text, read_yaml

TEXT = "Schimmel, grüß, 5 €"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"], ids=lambda name: name
)
def test_text_is_read_in_the_encodings_of_editors(tmp_path, encoding):
    (tmp_path / "a.txt").write_bytes(TEXT.encode(encoding))
    assert read_text(tmp_path / "a.txt") == TEXT


@pytest.mark.parametrize("content", [b"a\0b", b"\xff\xfea", b"\x81\x8d"], ids=repr)
def test_what_is_no_text_is_refused(tmp_path, content):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(ValueError, match="is no text that can be read; save it as UTF-8"):
        read_text(tmp_path / "a.txt")


def test_a_key_that_overrides_a_merged_one_is_there_once(tmp_path):
    (tmp_path / "a.yaml").write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: *a\n")
    content = read_yaml(tmp_path / "a.yaml")
    assert content == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 1, "y": 2}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("mapping: {a: nose, a: neck}", "the key 'a' occurs twice", id="key twice"),
        pytest.param("a: [1", "is not YAML", id="open"),
        pytest.param("[" * 2000, "is not YAML", id="deep"),
        pytest.param("a: 2026-13-45", "is not YAML", id="no date"),
        pytest.param("!!python/object/apply:os.getcwd []", "is not YAML", id="code"),
    ],
)
def test_what_is_no_plain_yaml_is_refused(tmp_path, text, said):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ValueError, match=said):
        read_yaml(tmp_path / "a.yaml")
