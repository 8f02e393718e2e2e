"""The wheel and the sdist: what they hold, and that they work where no checkout is."""

import email
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import equikpt

REPO = Path(__file__).resolve().parent.parent
SOURCES = [
    "setup.py",
    "pyproject.toml",
    "MANIFEST.in",
    "LICENSE",
    "README.md",
    "requirements",
    "configs",
    "tools",
    "equikpt",
    "projects",
    "runtime",
]


def run(*command, cwd: Path, **variables: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **variables},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tree(folder: Path) -> set[str]:
    """The files in a folder, less what Python writes while it runs."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="session")
def source(tmp_path_factory) -> Path:
    """A copy of what is packed: building leaves ``build/`` and ``*.egg-info`` in the folder."""
    folder = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        if (REPO / name).is_dir():
            shutil.copytree(REPO / name, folder / name)
        elif (REPO / name).is_file():
            shutil.copy(REPO / name, folder)
    for name in ("configs", "equikpt"):  # what a run leaves behind, not to be packed
        (folder / name / "__pycache__").mkdir(exist_ok=True)
        (folder / name / "__pycache__" / "stale.cpython-311.pyc").touch()
    return folder


@pytest.fixture(scope="session")
def wheel(source, tmp_path_factory) -> Path:
    return build_wheel(source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def runtime_wheel(source, tmp_path_factory) -> Path:
    return build_wheel(source / "runtime", tmp_path_factory.mktemp("runtime_wheel"))


def build_wheel(source: Path, folder: Path) -> Path:
    pip = (sys.executable, "-m", "pip", "wheel", "--no-index", "--no-build-isolation", "--no-deps")
    run(*pip, "-w", folder, ".", cwd=source)
    [file] = folder.glob("*.whl")
    return file


@pytest.fixture(scope="session")
def names(wheel) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="session")
def metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_string(archive.read(name).decode())


@pytest.fixture(scope="session")
def installed(wheel, runtime_wheel, tmp_path_factory) -> Path:
    """A folder with both wheels unpacked by pip."""
    folder = tmp_path_factory.mktemp("installed")
    pip = (sys.executable, "-m", "pip", "install", "--no-index", "--no-deps")
    run(*pip, "--target", folder, wheel, runtime_wheel, cwd=folder.parent)
    return folder


@pytest.fixture
def run_installed(installed, tmp_path):
    """Run Python in an empty folder where ``import equikpt`` gives the installed wheel.

    PYTHONPATH comes before site-packages, and so before the finder of an editable install.
    """
    path = os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH")]))

    def run_python(*arguments) -> str:
        return run(sys.executable, *arguments, cwd=tmp_path, PYTHONPATH=path)

    return run_python


@pytest.mark.parametrize("folder", ["configs", "tools", "requirements"])
def test_wheel_holds_every_file_of(folder, names):
    expected = {f"equikpt/.mim/{folder}/{file}" for file in tree(REPO / folder)}
    assert expected
    assert expected <= names


def test_wheel_holds_the_package_and_nothing_else(names):
    modules = {f"equikpt/{file}" for file in tree(REPO / "equikpt")}
    assert modules <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"equikpt"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_wheel_installs_the_console_script(wheel):
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("/entry_points.txt")]
        assert "equikpt = equikpt.__main__:console" in archive.read(name).decode()


def test_building_leaves_no_copy_in_the_sources(wheel, source):
    assert not (source / "equikpt" / ".mim").exists()


def test_rebuilding_forgets_a_config_that_is_gone(source, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(source, copy)
    stale = copy / "configs" / "stale.py"
    stale.touch()
    build = (sys.executable, "setup.py", "-q", "build")
    run(*build, cwd=copy)
    assert (copy / "build" / "lib" / "equikpt" / ".mim" / "configs" / "stale.py").is_file()
    stale.unlink()
    run(*build, cwd=copy)
    assert not list((copy / "build").rglob("stale.py"))


def test_the_runtime_s_wheel_holds_it_and_its_command(runtime_wheel, metadata):
    with zipfile.ZipFile(runtime_wheel) as archive:
        names = set(archive.namelist())
        texts = {
            name.split("/")[-1]: archive.read(name).decode() for name in names if "info" in name
        }
    modules = {f"equikpt_runtime/{file}" for file in tree(REPO / "runtime" / "equikpt_runtime")}
    assert {name for name in names if ".dist-info/" not in name} == modules
    assert "equikpt-run = equikpt_runtime.cli:console" in texts["entry_points.txt"]
    own = email.message_from_string(texts["METADATA"])
    wish = f"{own['Name']}=={own['Version']}"
    assert wish in metadata.get_all("Requires-Dist")
    required = {
        Requirement(each).name for each in own.get_all("Requires-Dist") if "extra" not in each
    }
    assert required == {"lapx", "numpy", "onnxruntime", "opencv-python-headless"}


def test_metadata(metadata):
    assert metadata["Version"] == equikpt.__version__
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License"] == "Apache-2.0"


def test_pip_is_asked_only_for_what_pip_can_install(metadata):
    wishes = [Requirement(wish) for wish in metadata.get_all("Requires-Dist")]
    required = {wish.name for wish in wishes if "extra" not in str(wish.marker)}
    assert {"torch", "torchvision", "albumentations", "opencv-python-headless"} <= required
    # their metadata asks for chumpy and for a second OpenCV
    assert not required & {"mmpose", "onedl-mmcv", "onedl-mmengine", "xtcocotools"}
    assert set(metadata.get_all("Provides-Extra")) == {
        "cluster",
        "dev",
        "dicom",
        "docs",
        "export",
        "formats",
        "mmdet",
        "timm",
        "wandb",
    }


def test_sdist_can_be_built_from(source, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(source, copy)
    run(sys.executable, "setup.py", "-q", "sdist", "-d", tmp_path, cwd=copy)
    [file] = tmp_path.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    for folder in ("configs", "tools", "requirements", "equikpt", "projects", "runtime"):
        assert {f"{folder}/{name}" for name in tree(REPO / folder)} <= packed


def test_installed_wheel_is_what_runs(run_installed, installed):
    out = run_installed("-c", "import equikpt; print(equikpt.__file__)")
    assert Path(out.strip()).is_relative_to(installed)


def test_configs_are_found_by_name_outside_any_checkout(run_installed, installed):
    out = run_installed(
        "-c",
        "from equikpt.core.configs import find_config, list_configs\n"
        "for name in list_configs(): print(find_config(name))",
    )
    found = {Path(line).relative_to(installed / "equikpt" / ".mim") for line in out.splitlines()}
    expected = {Path("configs", file) for file in tree(REPO / "configs") if file[0] != "_"}
    assert found == {path for path in expected if path.suffix == ".py"}


@pytest.mark.slow
def test_bases_of_a_config_are_in_the_wheel(run_installed):
    out = run_installed(
        "-c",
        "from mmengine.config import Config\n"
        "from equikpt.core.configs import find_config, list_configs\n"
        "for name in list_configs():\n"
        "    cfg = Config.fromfile(find_config(name))\n"
        "    print(name, cfg.default_scope, cfg.model.type)",
    )
    lines = out.splitlines()
    assert lines
    assert all(line.split()[1] == "mmpose" for line in lines)


def test_a_config_elsewhere_inherits_one_of_the_wheel(run_installed, tmp_path):
    path = tmp_path / "config.py"
    path.write_text('_base_ = __import__("equikpt").config_file("_base_/runtime")\n')
    read = f"Config.fromfile({str(path)!r}, import_custom_modules=False)"
    out = run_installed("-c", f"from mmengine.config import Config\nprint({read}.log_level)")
    assert out.split() == ["INFO"]


def test_tools_run_by_name(run_installed):
    listing = run_installed("-m", "equikpt", "--help")
    tools = sorted(path.stem for path in (REPO / "tools").glob("*.py"))
    assert [name for name in tools if f"\n  {name} " not in listing] == []
    assert "--work-dir" in run_installed("-m", "equikpt", "train", "--help")


def test_an_installed_wheel_draws_no_samples(installed, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "equikpt", "make_sample_data"]
        + ["--out", "set", "--train", "1", "--val", "0"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    assert "checkout" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_tool_is_answered_with_a_near_one():
    done = subprocess.run(
        [sys.executable, "-m", "equikpt", "trainn"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: expected the name of a command, got 'trainn'; did you mean train"
    )
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", sorted(path.name for path in REPO.glob("requirements/*.txt")))
def test_requirements_are_well_formed(name):
    lines = (REPO / "requirements" / name).read_text().splitlines()
    wishes = [line.split(" #")[0] for line in lines if line.strip() and line[0] != "#"]
    parsed = [Requirement(wish) for wish in wishes]
    assert parsed
    assert len({wish.name for wish in parsed}) == len(parsed)
