"""The package needs little, and says what it lacks."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import equikpt_runtime

PACKAGE = Path(equikpt_runtime.__file__).parent
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py"))
HEAVY = {"torch", "scipy", "pandas", "matplotlib", "mmpose", "mmengine", "equikpt", "PIL"}


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


def test_the_package_alone_imports_nothing():
    code = "import sys; old = {*sys.modules}; import equikpt_runtime; print(*{*sys.modules} - old)"
    packages = {name.split(".")[0] for name in run(code).stdout.split()}
    assert "equikpt_runtime" in packages
    assert packages <= {"equikpt_runtime"} | {*sys.stdlib_module_names}


def test_no_module_imports_what_is_heavy():
    names = ", ".join(f"equikpt_runtime.{name}" for name in MODULES)
    done = run(f"import sys, lap, onnxruntime, {names}; print(*sys.modules)")
    imported = {name.split(".")[0] for name in done.stdout.split()}
    assert "cv2" in imported
    assert imported & HEAVY == set()


def test_every_public_name_is_there():
    for name in equikpt_runtime.__all__:
        assert getattr(equikpt_runtime, name).__module__.startswith("equikpt_runtime")
    with pytest.raises(AttributeError, match="it has Clip"):
        _ = equikpt_runtime.Predictor


@pytest.mark.parametrize(
    ("library", "backend"), [("onnxruntime", "onnxruntime"), ("openvino", "openvino")]
)
def test_a_missing_library_is_named(monkeypatch, tmp_path, library, backend):
    from equikpt_runtime.backends import load_network

    (tmp_path / "m.onnx").touch()
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=r"it is not installed; pip install"):
        load_network(tmp_path / "m.onnx", backend)


def lines_of_code(source: str) -> int:
    """Count lines without those that are blank, comments or docstrings."""
    tree = ast.parse(source)
    bodies = [node.body for node in ast.walk(tree) if isinstance(getattr(node, "body", 0), list)]
    texts = {
        line
        for body in bodies
        for each in body
        if isinstance(each, ast.Expr) and isinstance(getattr(each.value, "value", None), str)
        for line in range(each.lineno, (each.end_lineno or 0) + 1)
    }
    lines = enumerate(source.splitlines(), start=1)
    return sum(bool(text.strip()) and text.strip()[0] != "#" for n, text in lines if n not in texts)


def test_it_stays_small():
    counted = sum(lines_of_code(path.read_text(encoding="utf-8")) for path in PACKAGE.glob("*.py"))
    assert 1000 < counted < 2200
