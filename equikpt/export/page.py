"""Write a folder with a page that runs an exported model in a browser, from any static server.

Nothing in it comes from another server. ONNX Runtime Web is taken from its npm package, which is
fetched once and checked against the sum that this module holds.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any

import pooch

from equikpt.checkpoints.download import download
from equikpt_runtime.files import require_writable, write_bytes

ORT_VERSION = "1.30.0"
ORT_URL = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{ORT_VERSION}.tgz"
ORT_SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
"""Hash of the package whose SHA-512 in the registry begins with ``q0y+JrrtukXSzsBWEMccVfqX``."""
ORT_FILES = (
    *("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"),
    *("ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify.mjs"),
    "ort-wasm-simd-threaded.asyncify.wasm",
)
"""Files that the page loads: the first three for the processor, the others for WebGPU."""
PAGE_SUFFIXES = (".html", ".css", ".js")


def ort_package(url: str = ORT_URL, log: Callable[[str], None] | None = None) -> Path:
    """Return the npm package of ONNX Runtime Web in the user's cache; fetch it where it is not.

    Raises:
        OSError: As :func:`~equikpt.checkpoints.download.download`.
        ValueError: The server gives another file.
    """
    path = Path(pooch.os_cache("equikpt")) / PurePosixPath(url).name
    download(url, path, ORT_SHA256, overwrite=True, log=log)
    return path


def ort_files(source: Path) -> dict[str, bytes]:
    """Read :data:`ORT_FILES` of the npm package, a .tgz or the folder it was unpacked to.

    Raises:
        FileNotFoundError: There is no such file or folder, or it lacks a file.
        ValueError: It is another version of the package.
    """
    if not source.exists():
        raise FileNotFoundError(
            f"expected the npm package onnxruntime-web {ORT_VERSION} at {source}, found nothing; "
            f"fetch {ORT_URL}"
        )
    names = {name: f"dist/{name}" for name in ORT_FILES}
    names["package.json"] = "package.json"
    if source.is_dir():
        found = {
            name: (source / inner).read_bytes()
            for name, inner in names.items()
            if (source / inner).is_file()
        }
    else:
        found = _unpacked(source, names)
    lacking = sorted(names.keys() - found.keys())
    if lacking:
        raise FileNotFoundError(
            f"expected the npm package onnxruntime-web {ORT_VERSION} at {source}, it has no "
            f"{', '.join(names[name] for name in lacking)}; fetch {ORT_URL}"
        )
    version = json.loads(found.pop("package.json")).get("version")
    if version != ORT_VERSION:
        raise ValueError(
            f"expected onnxruntime-web {ORT_VERSION} at {source}, got version {version}; fetch "
            f"{ORT_URL}"
        )
    return found


def _unpacked(source: Path, names: Mapping[str, str]) -> dict[str, bytes]:
    content = source.read_bytes()
    found = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            inside = {member.name: member for member in archive if member.isfile()}
            for name, inner in names.items():
                if member := inside.get(f"package/{inner}"):
                    found[name] = archive.extractfile(member).read()  # type: ignore[union-attr]
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ValueError(
            f"expected the npm package onnxruntime-web {ORT_VERSION} as .tgz, {source} cannot be "
            f"unpacked ({error}); fetch {ORT_URL}"
        ) from error
    return found


def page_files() -> dict[str, bytes]:
    """Read the files of the page itself, by name."""
    folder = files("equikpt.export") / "web"
    return {
        each.name: each.read_bytes()
        for each in folder.iterdir()
        if each.name.endswith(PAGE_SUFFIXES)
    }


def prepare(
    folder: Path,
    ort_web: Path | None = None,
    overwrite: bool = False,
    log: Callable[[str], None] | None = None,
) -> dict[str, bytes]:
    """Stop before an export whose page could not be written, and get ONNX Runtime Web.

    Args:
        folder: For the page.
        ort_web: The npm package onnxruntime-web, for machines without a network: a .tgz or a
            folder. None takes it from the user's cache, or fetches it.
        overwrite: Take a folder that has files; those that the page does not have stay.
        log: As :func:`~equikpt.checkpoints.download.download`.

    Returns:
        :func:`ort_files`.

    Raises:
        FileExistsError: The folder has files and ``overwrite`` is not set.
        OSError: A file cannot be read or fetched, or the folder not be written.
        ValueError: ``ort_web`` is another version.
    """
    require_writable(folder)
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise FileExistsError(
            f"expected {folder} to be empty or not to exist yet; choose another folder or replace "
            "the page with --overwrite"
        )
    return ort_files(ort_package(log=log) if ort_web is None else ort_web)


def write_page(
    model: Path, metadata: Mapping[str, Any], folder: Path, ort: Mapping[str, bytes]
) -> int:
    """Write the page of an exported model, and return the size of all its files in bytes.

    Args:
        model: ONNX file.
        metadata: JSON that the file holds under its key ``equikpt``.
        folder: For the page; files of the same names are replaced.
        ort: From :func:`prepare`.
    """
    content = page_files() | {f"ort/{name}": data for name, data in ort.items()}
    content["ort/LICENSE"] = (files("equikpt.export") / "web" / "ort_license.txt").read_bytes()
    content["model.json"] = json.dumps(metadata, indent=1, allow_nan=False).encode()
    content["model.onnx"] = model.read_bytes()
    for name, data in content.items():
        write_bytes(folder / name, data)
    return sum(map(len, content.values()))


def serving(folder: Path, size: int) -> list[str]:
    """State in two lines what was written, and the command that serves it."""
    return [
        f"written: {folder} ({size / 1e6:.1f} MB)",
        f"serve it with: python -m http.server -d {folder}",
    ]
