"""Missing and broken packages, each planted."""

import sys

import pytest

from equikpt.core import installation
from tests.interpreters import run_python, write_package


@pytest.mark.parametrize("package", sorted(installation.PACKAGES))
def test_missing_package_is_named_with_the_command(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"`import {package}`.*found none.*setup\.sh") as caught:
        installation.require_packages()
    assert caught.value.name == package


def test_missing_package_is_one_line_of_a_tool():
    done = run_python(
        "import sys\n"
        "sys.modules['xtcocotools'] = None\n"
        "from equikpt.cli import entry\n"
        "def main(argv):\n    import equikpt.compat\n"
        "entry.run(main)\n"
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "xtcocotools" in done.stderr
    assert "./setup.sh" in done.stderr


def test_package_that_does_not_load_is_named_with_the_reason(monkeypatch, tmp_path):
    write_package(tmp_path, "wrong_build", "raise ValueError('numpy.dtype size changed')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(installation, "COMPILED", ("wrong_build",))
    with pytest.raises(ImportError, match=r"numpy\.dtype"):
        installation.require_packages()


@pytest.mark.parametrize("is_there", [False, True], ids=["absent", "present"])
def test_pkg_resources_where_mmengine_asks_for_it(monkeypatch, tmp_path, is_there):
    from mmengine.utils import package_utils

    write_package(tmp_path, "pkg_resources", "def f():\n    import pkg_resources\n")
    source = tmp_path / "pkg_resources" / "__init__.py"
    monkeypatch.setattr(package_utils, "__file__", str(source))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pkg_resources", raising=False)
    if is_there:
        installation.require_packages()
        return
    monkeypatch.setitem(sys.modules, "pkg_resources", None)
    with pytest.raises(ImportError, match="'setuptools<81'"):
        installation.require_packages()
