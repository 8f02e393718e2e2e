import shutil
import struct
import tempfile
import zipfile
from pathlib import Path

import pytest

from equikpt.data_tools.convert import input_files
from equikpt.data_tools.convert.input_files import read_text, read_yaml, unpack

TEXT = "Schimmel, grüß, 5 €"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_text_is_read_in_the_encodings_of_editors(tmp_path, encoding):
    (tmp_path / "a.txt").write_bytes(TEXT.encode(encoding))
    assert read_text(tmp_path / "a.txt") == TEXT


@pytest.mark.parametrize("content", [b"a\0b", b"\xff\xfea", b"\x81\x8d"], ids=repr)
def test_what_is_no_text_is_refused(tmp_path, content):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(ValueError, match="UTF-8"):
        read_text(tmp_path / "a.txt")


def test_a_key_that_overrides_a_merged_one_is_there_once(tmp_path):
    (tmp_path / "a.yaml").write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: *a\n")
    content = read_yaml(tmp_path / "a.yaml")
    assert content == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 1, "y": 2}}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("mapping: {a: nose, a: neck}", id="key twice"),
        pytest.param("a: [1", id="open"),
        pytest.param("[" * 2000, id="deep"),
        pytest.param("a: 2026-13-45", id="no date"),
        pytest.param("!!python/object/apply:os.getcwd []", id="code"),
    ],
)
def test_what_is_no_plain_yaml_is_refused(tmp_path, text):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ValueError, match="is not YAML"):
        read_yaml(tmp_path / "a.yaml")


@pytest.fixture
def unpacked(tmp_path, monkeypatch) -> Path:
    """The folder that temporary folders are made in."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def zipped(path: Path, content: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in content.items():
            file.writestr(name, data)
    return path


def test_content_is_unpacked(tmp_path, unpacked):
    folder = unpack(zipped(tmp_path / "a.zip", {"a/b.txt": b"b", "c.txt": b"c" * 1000}))
    assert folder.parent == unpacked
    assert (folder / "a/b.txt").read_bytes() == b"b"
    assert (folder / "c.txt").read_bytes() == b"c" * 1000


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "..\\x", "C:\\x"])
def test_names_outside_the_folder_are_refused(tmp_path, unpacked, name):
    path = zipped(tmp_path / "a.zip", {"good.txt": b"1", name: b"2"})
    with pytest.raises(ValueError, match="outside its folder"):
        unpack(path)
    assert not [found for found in tmp_path.rglob("*") if found.is_file() and found != path]


def test_a_zip_that_unpacks_to_far_more_than_it_has_is_refused(tmp_path, unpacked, monkeypatch):
    monkeypatch.setattr(input_files, "UNSUSPICIOUS_BYTES", 10_000)
    zeros = {f"{number}.bin": bytes(1_000_000) for number in range(3)}
    with pytest.raises(ValueError, match="3,000,000"):
        unpack(zipped(tmp_path / "a.zip", zeros))
    assert not list(unpacked.rglob("*.bin"))
    labels = {"a.json": b"".join(b"%d, " % number for number in range(20_000))}
    assert unpack(zipped(tmp_path / "b.zip", labels)).is_dir()


def with_bytes(offset: int, new: bytes):
    """Damage behind the begin of the directory."""

    def damage(content: bytes) -> bytes:
        at = content.index(b"PK\x01\x02") + offset
        return content[:at] + new + content[at + len(new) :]

    return damage


def declare_less(content: bytes) -> bytes:
    """A directory that says 10 bytes where there are a million."""
    return content.replace(struct.pack("<I", 1_000_000), struct.pack("<I", 10))


def flip_bytes(content: bytes) -> bytes:
    return content[:60] + bytes(255 - byte for byte in content[60:90]) + content[90:]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(declare_less, "is damaged", id="size"),
        pytest.param(with_bytes(8, b"\1\0"), "is encrypted", id="encrypted"),
        pytest.param(with_bytes(10, b"\x63\0"), "is damaged", id="compression"),
        pytest.param(flip_bytes, "is damaged", id="bytes"),
        pytest.param(lambda content: content[:-30], "is no zip file", id="cut"),
        pytest.param(lambda content: b"", "is no zip file", id="empty"),
    ],
)
def test_damaged_and_encrypted_zips_are_one_sentence(tmp_path, unpacked, damage, said):
    path = zipped(tmp_path / "a.zip", {"a.bin": bytes(1_000_000)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=said):
        unpack(path)
    assert sum(found.stat().st_size for found in unpacked.rglob("*") if found.is_file()) < 1_000_000


def test_a_full_disk_is_said_before_anything_is_written(tmp_path, unpacked, monkeypatch):
    usage = shutil.disk_usage(unpacked)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match="room for 100"):
        unpack(zipped(tmp_path / "a.zip", {"a.bin": bytes(1000)}))
    assert not list(unpacked.rglob("*.bin"))
