from __future__ import annotations

import shutil
import struct
import tempfile
import zipfile
from pathlib import Path

import pytest

from equikpt.data_tools.convert import archive
from equikpt.data_tools.convert.archive import unpack


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """The folder that temporary folders are made in."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def zipped(path: Path, content: dict[str, bytes], kind=zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as file:
        for name, data in content.items():
            file.writestr(name, data)
    return path


def test_content_is_unpacked(tmp_path, place):
    folder = unpack(zipped(tmp_path / "a.zip", {"a/b.txt": b"b", "c.txt": b"c" * 1000}))
    assert folder.parent == place
    assert (folder / "a/b.txt").read_bytes() == b"b"
    assert (folder / "c.txt").read_bytes() == b"c" * 1000


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "..\\x", "C:\\x"])
def test_names_outside_the_folder_are_refused(tmp_path, place, name):
    path = zipped(tmp_path / "a.zip", {"good.txt": b"1", name: b"2"})
    with pytest.raises(ValueError, match="outside its folder"):
        unpack(path)
    assert not [found for found in tmp_path.rglob("*") if found.is_file() and found != path]


def test_a_zip_that_unpacks_to_far_more_than_it_has_is_refused(tmp_path, place, monkeypatch):
    monkeypatch.setattr(archive, "UNSUSPICIOUS_BYTES", 10_000)
    zeros = {f"{number}.bin": bytes(1_000_000) for number in range(3)}
    with pytest.raises(ValueError, match="would unpack to 3,000,000; if you trust it"):
        unpack(zipped(tmp_path / "a.zip", zeros))
    assert not list(place.rglob("*.bin"))
    labels = {"a.json": b"".join(b"%d, " % number for number in range(20_000))}
    assert unpack(zipped(tmp_path / "b.zip", labels)).is_dir()


def declare_less(content: bytes) -> bytes:
    """A directory that says 10 bytes where there are a million."""
    return content.replace(struct.pack("<I", 1_000_000), struct.pack("<I", 10))


def encrypt(content: bytes) -> bytes:
    at = content.index(b"PK\x01\x02") + 8
    return content[:at] + b"\x01\x00" + content[at + 2 :]


def unknown_compression(content: bytes) -> bytes:
    at = content.index(b"PK\x01\x02") + 10
    return content[:at] + b"\x63\x00" + content[at + 2 :]


def flip_bytes(content: bytes) -> bytes:
    return content[:60] + bytes(255 - byte for byte in content[60:90]) + content[90:]


DAMAGES = [
    (declare_less, "is damaged"),
    (encrypt, "is encrypted"),
    (unknown_compression, "is damaged"),
    (flip_bytes, "is damaged"),
    (lambda content: content[:-30], "is no zip file"),
    (lambda content: b"", "is no zip file"),
]


@pytest.mark.parametrize(("damage", "said"), DAMAGES)
def test_damaged_and_encrypted_zips_are_one_sentence(tmp_path, place, damage, said):
    path = zipped(tmp_path / "a.zip", {"a.bin": bytes(1_000_000)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=said):
        unpack(path)
    assert sum(found.stat().st_size for found in place.rglob("*") if found.is_file()) < 1_000_000


def test_a_full_disk_is_said_before_anything_is_written(tmp_path, place, monkeypatch):
    usage = shutil.disk_usage(place)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match="room for 100; set TMPDIR"):
        unpack(zipped(tmp_path / "a.zip", {"a.bin": bytes(1000)}))
