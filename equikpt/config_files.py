"""Configs by name and tools by name, from a checkout and from an installed wheel alike."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parent


def shipped_folder(name: str) -> Path:
    """The folder ``configs`` or ``tools`` that belongs to this copy of the package.

    A wheel carries both in ``equikpt/.mim``, as OpenMMLab's wheels do; a checkout has them beside
    the package. The wheel's place comes first: what lies beside an installed package is
    ``site-packages``, where a folder ``tools`` may be anybody's.

    Raises:
        FileNotFoundError: The package was copied or packed without the folder.
    """
    for folder in (PACKAGE / ".mim" / name, PACKAGE.parent / name):
        in_checkout = (PACKAGE.parent / "setup.py").is_file()
        if folder.is_dir() and (in_checkout or PACKAGE in folder.parents):
            return folder
    raise FileNotFoundError(
        f"expected a folder {name!r} in {PACKAGE / '.mim'} or beside {PACKAGE}, found none: "
        "install equikpt from a wheel (pip install .) or work in a checkout"
    )


def list_configs() -> list[str]:
    """Names that :func:`find_config` takes, sorted: ``rtmpose_m_ap10k``, ``smoke/…``."""
    folder = shipped_folder("configs")
    files = (path.relative_to(folder) for path in folder.rglob("*.py"))
    return sorted(
        file.with_suffix("").as_posix() for file in files if not file.parts[0].startswith("_")
    )


def forget_pretrained(model: Any) -> None:
    """Leave out of a model's config where its backbone's first weights come from.

    For a model that gets a checkpoint anyway: whoever tests it need not have those weights.

    Args:
        model: ``cfg.model``; it is changed.
    """
    backbone = model.get("backbone")
    if backbone is None:
        return
    if "weights" in backbone:
        backbone["weights"] = None
    if (backbone.get("init_cfg") or {}).get("type") == "Pretrained":
        del backbone["init_cfg"]


def find_config(name_or_path: str | Path) -> Path:
    """The config file of a path, or of a name such as ``rtmpose_m_ap10k``.

    A file that exists wins. Otherwise the name is looked up among the configs that came with the
    package, with or without ``.py`` and a leading ``configs/``, so that the command lines of the
    documentation work outside a checkout too. A config's ``_base_`` is relative to the file, so it
    resolves in both places.

    Raises:
        FileNotFoundError: Neither a file nor a known name; the message lists the nearest names.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    name = path.as_posix().removeprefix("configs/").removesuffix(".py")
    known = list_configs()
    if name in known:
        return shipped_folder("configs") / f"{name}.py"
    raise FileNotFoundError(
        f"expected the path of a config file or the name of a config, got {str(name_or_path)!r}; "
        f"{nearest(name, known)}"
    )


def nearest(name: str, known: list[str]) -> str:
    """The end of an error message: the names like ``name``, or all of them if none is."""
    by_stem = {entry.rsplit("/", 1)[-1]: entry for entry in known}
    close = difflib.get_close_matches(name, known, cutoff=0.5) or [
        by_stem[stem] for stem in difflib.get_close_matches(name, list(by_stem), cutoff=0.5)
    ]
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known names: {', '.join(known)}"
