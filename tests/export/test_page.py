"""The folder that is written, and where ONNX Runtime Web comes from."""

import hashlib
import io
import json
import re
import tarfile

import pytest

from equikpt.export import page
from tests.scripted_server import hang_up, serving

METADATA = {"schema": 1, "name": "mice", "task": "keypoints"}


def package(version: str = page.ORT_VERSION, without: str = "") -> bytes:
    """A small npm package with files of the right names."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        contents = {f"dist/{name}": name.encode() for name in (*page.ORT_FILES, "ort.all.mjs")}
        contents["package.json"] = json.dumps({"version": version}).encode()
        for name, content in contents.items():
            if name != f"dist/{without}":
                member = tarfile.TarInfo(f"package/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"a model")
    return path


@pytest.fixture
def tgz(tmp_path):
    path = tmp_path / "ort.tgz"
    path.write_bytes(package())
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(page.pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr(page, "ORT_SHA256", hashlib.sha256(package()).hexdigest())
    return tmp_path / "cache" / "equikpt"


def test_the_folder_has_what_the_page_loads_and_nothing_else(model, tgz, tmp_path):
    size = page.write_page(model, METADATA, tmp_path / "site", page.ort_files(tgz))
    written = {
        str(path.relative_to(tmp_path / "site")): path.read_bytes()
        for path in (tmp_path / "site").rglob("*")
        if path.is_file()
    }
    assert size == sum(map(len, written.values()))
    assert written["model.onnx"] == b"a model"
    assert json.loads(written["model.json"]) == METADATA
    ort = {name for name in written if name.startswith("ort/")}
    assert ort == {f"ort/{name}" for name in (*page.ORT_FILES, "LICENSE")}
    assert {"index.html", "style.css", "app.js"} < written.keys()
    assert not {name for name in written if name.endswith((".txt", ".json"))} - {"model.json"}


def test_all_that_the_page_names_is_there_and_nothing_of_other_servers():
    files = {name: content.decode() for name, content in page.page_files().items()}
    known = {*files, *(f"ort/{name}" for name in page.ORT_FILES)}
    for name, text in files.items():
        named = re.findall(r'(?:from|import\(gpu \?|src=|:) ?"\.?/?([\w./-]+\.m?js)"', text)
        assert {*named} <= known, name
        assert "http://" not in text, name
        assert "https://" not in text, name
    assert sum(name.endswith(".js") for name in files) == 7
    assert 'href="style.css"' in files["index.html"]


def test_what_stands_in_the_folder_is_kept(model, tgz, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("mine")
    with pytest.raises(FileExistsError, match="--overwrite"):
        page.prepare(site, tgz)
    assert (site / "index.html").read_text() == "mine"
    (site / "other.txt").write_text("stays")
    ort = page.prepare(site, tgz, overwrite=True)
    page.write_page(model, METADATA, site, ort)
    assert (site / "index.html").read_text() != "mine"
    assert (site / "other.txt").read_text() == "stays"


@pytest.mark.parametrize("root", ["package", "package/"])
def test_an_unpacked_package_is_as_good(root, tgz, tmp_path):
    with tarfile.open(tgz) as archive:
        archive.extractall(tmp_path, filter="data")
    assert page.ort_files(tmp_path / root) == page.ort_files(tgz)


@pytest.mark.parametrize(
    ("content", "expected", "words"),
    [
        (package("1.2.3"), ValueError, "version 1.2.3"),
        (package(without="ort.wasm.min.mjs"), FileNotFoundError, "no dist/ort.wasm.min.mjs"),
        (package()[:200], ValueError, "cannot be unpacked"),
        (b"<html>", ValueError, "cannot be unpacked"),
    ],
    ids=["version", "lacking", "cut", "page"],
)
def test_another_package_is_refused_before_anything_is_written(content, expected, words, tmp_path):
    (tmp_path / "ort.tgz").write_bytes(content)
    with pytest.raises(expected, match=re.escape(words)):
        page.prepare(tmp_path / "site", tmp_path / "ort.tgz")
    assert not (tmp_path / "site").exists()


def test_no_package_is_named_with_its_address(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(page.ORT_URL)):
        page.prepare(tmp_path / "site", tmp_path / "none.tgz")


def test_the_package_is_fetched_once_and_tried_again(cache):
    lines = []
    with serving(package()) as server:
        server.script = [hang_up]
        url = f"{server.origin}/onnxruntime-web.tgz"
        path = page.ort_package(url, lines.append)
        assert path == cache / "onnxruntime-web.tgz"
        assert page.ort_files(path)
        assert len(server.requests) == 2
        assert lines
        assert page.ort_package(url) == path
        assert len(server.requests) == 2


def test_another_package_of_the_server_is_refused(cache):
    with serving(package("1.2.3")) as server:
        with pytest.raises(ValueError, match="SHA-256"):
            page.ort_package(f"{server.origin}/onnxruntime-web.tgz")
        assert not (cache / "onnxruntime-web.tgz").exists()


def test_without_a_network_one_sentence_names_the_way_out(cache):
    with serving(b"") as server:
        url = f"{server.origin}/onnxruntime-web.tgz"
    with pytest.raises(ConnectionError, match="put it at") as raised:
        page.ort_package(url)
    assert str(cache / "onnxruntime-web.tgz") in str(raised.value)
    assert "\n" not in str(raised.value)
