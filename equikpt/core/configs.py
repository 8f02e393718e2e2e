"""Configs by name and tools by name, from a checkout and from an installed wheel alike."""

from __future__ import annotations

import difflib
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equikpt.core.project import config_in, is_run

if TYPE_CHECKING:
    from mmengine.config import Config

PACKAGE = Path(__file__).resolve().parents[1]
MAX_NAMES = 40
"""Names that a message lists."""


def shipped_folder(name: str) -> Path:
    """Find the folder ``configs`` or ``tools`` that belongs to this copy of the package.

    A wheel carries both in ``equikpt/.mim``, as OpenMMLab's wheels do; a checkout has them beside
    the package. The former comes first: what lies beside an installed package is
    ``site-packages``, where a folder ``tools`` may be anybody's.

    Raises:
        FileNotFoundError: The package was copied or packed without the folder.
    """
    folders = [PACKAGE / ".mim" / name]
    if (PACKAGE.parent / "setup.py").is_file():
        folders.append(PACKAGE.parent / name)
    for folder in folders:
        if folder.is_dir():
            return folder
    raise FileNotFoundError(
        f"expected a folder {name!r} in {PACKAGE / '.mim'} or beside {PACKAGE}, found none: "
        "install equikpt from a wheel (pip install .) or work in a checkout"
    )


def shipped_config(name: str) -> Path:
    """Return the file of a config by its name, of those in ``_base_`` as well.

    Raises:
        FileNotFoundError: There is none; the message lists the nearest names.
    """
    folder = shipped_folder("configs")
    path = folder / f"{name.removesuffix('.py')}.py"
    if not path.is_file():
        known = [
            each.relative_to(folder).with_suffix("").as_posix() for each in folder.rglob("*.py")
        ]
        raise FileNotFoundError(
            f"expected the name of a config of equikpt, got {name!r}; {nearest(name, known)}"
        )
    return path


def list_configs() -> list[str]:
    """Return the names that :func:`find_config` takes: ``rtmpose_m_ap10k``, ``smoke/…``."""
    folder = shipped_folder("configs")
    files = (path.relative_to(folder).with_suffix("") for path in folder.rglob("*.py"))
    return sorted(file.as_posix() for file in files if not file.parts[0].startswith("_"))


def backbone_inits(model: Any) -> list:
    """List the dicts of a model's ``backbone.init_cfg``, which may be one, several or none."""
    init = (model.get("backbone") or {}).get("init_cfg") or []
    return [init] if isinstance(init, dict) else list(init)


def strip_pretrained_init(model: Any) -> None:
    """Leave out of ``cfg.model``, in place, where its backbone's first weights come from.

    For a model that gets a checkpoint anyway: whoever tests it need not have those weights.
    """
    backbone = model.get("backbone") or {}
    if "weights" in backbone:
        backbone["weights"] = None
    inits = backbone_inits(model)
    others = [each for each in inits if each.get("type") != "Pretrained"]
    if others and len(others) < len(inits):
        backbone["init_cfg"] = others
    elif inits and not others:
        del backbone["init_cfg"]


def find_config(name_or_path: str | Path) -> Path:
    """Find the config file of a path, or of a name such as ``rtmpose_m_ap10k``.

    A file that exists wins, then a folder: a project's ``config.py``, or what a run saved in its
    work dir. Otherwise the name is looked up among the configs that came with the package, with or
    without ``.py`` and a leading ``configs/``, so that the command lines of the documentation work
    outside a checkout too. A config's ``_base_`` is relative to the file, so it resolves in both
    places.

    Raises:
        FileNotFoundError: Neither a file nor a known name; the message lists the nearest names.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    if (inside := config_in(path)) is not None:
        return inside
    name = path.as_posix().removeprefix("configs/").removesuffix(".py")
    known = list_configs()
    if name in known:
        return shipped_folder("configs") / f"{name}.py"
    kind, advice = "", ""
    if path.is_dir():
        kind, advice = "the folder ", "name a file in it, or a project folder with a config.py"
    raise FileNotFoundError(
        "expected the path of a config file or the name of a config, got "
        f"{kind}{str(name_or_path)!r}; {advice or nearest(name, known)}"
    )


def read_config(name_or_path: str | Path) -> Config:
    """Read a config file with all its ``_base_`` files, without importing what it asks for.

    That of a run's folder gets this folder as ``work_dir``, which may have been moved.

    Raises:
        FileNotFoundError: :func:`find_config` finds none, or a ``_base_`` is missing.
        ValueError: The file is no config: it cannot be run or parsed, or inherits from itself.
    """
    from mmengine.config import Config

    path = find_config(name_or_path)
    _check_bases(path, ())
    try:
        cfg = Config.fromfile(path, import_custom_modules=False)
    except (Exception, SystemExit) as error:  # a program of its user's: it may raise anything
        raise ValueError(_unreadable(error, path)) from error
    if path != Path(name_or_path) and is_run(Path(name_or_path)):
        cfg.work_dir = str(name_or_path)
    return cfg


def work_dir_of(cfg: Config) -> Path:
    """Find where a config's runs write: its own key, or ``work_dirs/<config>``.

    Shipped configs keep their folder: those of ``smoke/`` have the file names of others.

    Raises:
        ValueError: A config that is of no file and has no such key.
    """
    if cfg.get("work_dir") is not None:
        return Path(cfg.work_dir)
    if cfg.filename is None:
        raise ValueError("expected a config of a file, or with a work_dir, got neither; name one")
    file, shipped = Path(cfg.filename).resolve(), shipped_folder("configs").resolve()
    name = file.relative_to(shipped) if shipped in file.parents else Path(file.name)
    return "work_dirs" / name.with_suffix("")


def import_modules(cfg: Config) -> None:
    """Import what a config asks for in ``custom_imports``, which registers its classes.

    Raises:
        ImportError: There is no such module.
    """
    from mmengine.utils import import_modules_from_strings

    asked = cfg.get("custom_imports")
    if not asked:
        return
    names = asked.get("imports") or []
    names = [names] if isinstance(names, str) else list(names)
    for name in names:
        try:
            found = find_spec(name)
        except (ImportError, ValueError):  # its package is missing, or the name is none
            found = None
        if found is None and not asked.get("allow_failed_imports"):
            raise ImportError(
                f"expected custom_imports to name modules that can be imported, got {name!r}; "
                "install its package, or add its folder to PYTHONPATH"
            )
    import_modules_from_strings(**asked)


def _check_bases(path: Path, above: tuple[Path, ...]) -> None:
    """Follow ``_base_`` from file to file, for MMEngine would follow a circle for good."""
    from mmengine.config import Config

    if path.resolve() in above:
        raise ValueError(f"expected _base_ files without a circle, but {path} inherits from itself")
    try:
        bases = Config._get_base_files(str(path))
    except Exception as error:  # read_config: the user's program
        raise ValueError(_unreadable(error, path)) from error
    for base in bases:
        if not isinstance(base, str) or "::" in base or "{{" in base:
            continue  # of another package, or a placeholder: MMEngine finds it
        file = path.parent / base
        if not file.is_file():
            found = "a folder" if file.is_dir() else "no such file"
            raise FileNotFoundError(
                f"expected _base_ {base!r} of {path} at {file}, found {found}; correct the path, "
                "which is relative to the file that names it"
            )
        _check_bases(file, (*above, path.resolve()))


def _unreadable(error: BaseException, path: Path) -> str:
    """A sentence of an error in a config file's own code, with its line where it has one."""
    trace = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in trace if Path(frame.filename) == path.absolute()]
    line = f" (line {lines[-1]})" if lines and lines[-1] else ""
    text = str(error).removeprefix(f"There are syntax errors in config file {path}: ")
    name = type(error).__name__
    return f"expected a config file that can be read, got {path}: {name}: {text}{line}"


def nearest(name: str, known: list[str]) -> str:
    """Return the end of an error message: names like ``name``, or all of a few if none is."""
    known = list(dict.fromkeys(known))
    by_stem = {entry.rsplit("/", 1)[-1]: entry for entry in known}
    close = difflib.get_close_matches(name, known, cutoff=0.5) or [
        by_stem[stem] for stem in difflib.get_close_matches(name, list(by_stem), cutoff=0.5)
    ]
    if close:
        return f"did you mean {' or '.join(close)}?"
    if len(known) > MAX_NAMES:
        return f"none of the {len(known)} known names is like it"
    return f"known names: {', '.join(known)}"
