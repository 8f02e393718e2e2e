"""The public names: where they are found, what they cost, and that their examples run."""

import ast
import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "equikpt"
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
WITH_EXAMPLES = sorted(
    ".".join(("equikpt", *path.relative_to(PACKAGE).with_suffix("").parts))
    for path in PACKAGE.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


def in_a_fresh_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def registering_modules() -> set[str]:
    """Modules of the package with a class or function under a ``register_module`` decorator."""
    return {
        ".".join(("equikpt", *path.relative_to(PACKAGE).with_suffix("").parts))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
        and any("register_module" in ast.unparse(each) for each in node.decorator_list)
    }


@pytest.mark.slow
def test_register_reaches_every_decorated_class():
    expected = registering_modules()
    assert len(expected) > 40
    code = "import sys, equikpt.register; print(*(m for m in sys.modules if m[:7] == 'equikpt'))"
    assert expected - set(in_a_fresh_python(code).split()) == set()


@pytest.mark.parametrize("room", ROOMS)
def test_public_names_are_there(room):
    module = importlib.import_module(f"equikpt.{room}")
    names = module.__all__
    assert names
    missing = []
    for name in names:
        if not hasattr(module, name):
            try:
                importlib.import_module(f"equikpt.{room}.{name}")
            except ModuleNotFoundError:
                missing.append(name)
    assert missing == []


def test_rooms_are_attributes_of_the_package():
    import equikpt

    for room in equikpt.__all__:
        assert getattr(equikpt, room).__name__ == f"equikpt.{room}"
    with pytest.raises(AttributeError):
        equikpt.stables  # noqa: B018


@pytest.mark.parametrize(
    "statement",
    [
        "import equikpt",
        "from equikpt import structures, metainfo, evaluation, visualization, data_tools, report",
        "from equikpt.metainfo import mapping",
        "from equikpt.evaluation.functional import pck",
    ],
)
def test_light_names_do_not_wait_for_torch(statement):
    code = f"import sys\n{statement}\nprint({{'torch', 'mmengine', 'cv2'}} & set(sys.modules))"
    assert in_a_fresh_python(code) == "set()\n"


@pytest.mark.parametrize(("system", "expected"), [("darwin", "1"), ("linux", "None")])
def test_the_cpu_computes_what_apples_gpu_lacks(system, expected):
    code = f"import os, sys\nsys.platform = {system!r}\nimport equikpt\n"
    code += "print(os.environ.get('PYTORCH_ENABLE_MPS_FALLBACK'))"
    assert in_a_fresh_python(code) == f"{expected}\n"


def test_types_are_published():
    assert (PACKAGE / "py.typed").is_file()


def test_there_are_examples():
    examples = [
        test
        for name in WITH_EXAMPLES
        for test in doctest.DocTestFinder().find(importlib.import_module(name))
        if test.examples
    ]
    assert len(examples) >= 20


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_run(module):
    failed, tried = doctest.testmod(
        importlib.import_module(module), optionflags=doctest.ELLIPSIS, report=True
    )
    assert tried
    assert failed == 0
