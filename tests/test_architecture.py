"""The design as rules over the sources: who imports whom, and what no file may hold.

Each rule is a function from a source text to what is wrong with it, so that a planted fault can
show that the rule sees it.
"""

import ast
import itertools
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
PACKAGE = sorted((REPO / "equikpt").rglob("*.py"))
RUNTIME = sorted((REPO / "runtime" / "equikpt_runtime").rglob("*.py"))
PROJECTS = [p for p in sorted((REPO / "projects").rglob("*.py")) if "tests" not in p.parts]
CONFIGS = sorted((REPO / "configs").rglob("*.py"))
TOOLS = sorted((REPO / "tools").glob("*.py"))
BENCHMARKS = sorted((REPO / "benchmarks").glob("*.py"))

# Rooms of the package from the bottom up: a module imports from its own room and from rows above
# its own in this table, never from its own row's other rooms or from below.
LEVELS: tuple[tuple[str, ...], ...] = (
    ("core",),
    ("compat",),
    ("structures", "metainfo", "config_checks"),
    ("visualization",),
    ("codecs", "datasets"),
    ("models",),
    ("evaluation",),
    ("checkpoints", "data_tools"),
    ("tracks",),
    ("apis", "gait"),
    ("engine",),  # acts on training: only what starts a run knows it
    ("report", "register", "export", "suggestions"),
    ("doctor",),
    ("cli",),
    ("__main__",),
)
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}

MODULES_AT_THE_TOP = 4
MODULE_LINES = 330  # "about 300"
FUNCTION_LINES = 55  # "about 50", without the docstring


def text_files() -> list[Path]:
    folders = ("equikpt", "projects", "configs", "tools", "tests", "benchmarks", "docs")
    folders += ("requirements", "runtime")
    suffixes = (".py", ".sh", ".md", ".txt", ".yml", ".yaml", ".toml", ".cfg", ".html")
    inside = (path for folder in (*folders, ".github") for path in (REPO / folder).rglob("*"))
    beside = REPO.iterdir()
    named = {"Makefile", "run"}
    return sorted(
        path
        for path in (*inside, *beside, *(REPO / ".ci").glob("*"))
        if path.is_file() and (path.suffix in suffixes or path.name in named)
    )


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Dotted names that a module imports, anywhere in it; relative ones begin with a dot."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            # `from equikpt.core import files` names a module, `…core.files import x` does not
            yield from (f"{module}.{alias.name}" for alias in node.names)


RUNTIME_NEEDS = {"equikpt_runtime", "numpy", "cv2", "lap", "onnxruntime", "openvino", "pandas"}
"""What the runtime may import beside Python's own: pandas for .h5 alone, and none of it torch's."""

OUTSIDE = ("tools", "tests", "configs", "benchmarks", "projects")
"""Folders of the checkout that a wheel does not hold as packages."""


def room_of(path: Path) -> str:
    first = path.relative_to(REPO / "equikpt").parts[0]
    return first.removesuffix(".py")


# --- the rules ---


def backward_imports(source: str, room: str) -> list[str]:
    faults = []
    for name in imports_of(ast.parse(source)):
        package, _, rest = name.partition(".")
        target = rest.split(".")[0]
        if package in ("tools", "tests", "configs", "benchmarks", "projects") or name.startswith(
            "."
        ):
            faults.append(f"imports {name}")
        elif package == "equikpt" and LEVEL_OF.get(target, -1) >= LEVEL_OF[room] and target != room:
            faults.append(f"{room} imports {name}")
    return faults


def foreign_imports(source: str) -> list[str]:
    """What the runtime has no use for: equikpt above all, which imports it."""
    typing_only = {"typing_extensions"}
    known = {*sys.stdlib_module_names, *RUNTIME_NEEDS, *typing_only}
    return [name for name in imports_of(ast.parse(source)) if name.split(".")[0] not in known]


def prints_and_asserts(source: str) -> list[str]:
    faults = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assert):
            faults.append(f"line {node.lineno}: assert")
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("print", "breakpoint"):
            faults.append(f"line {node.lineno}: {node.func.id}")
    return faults


def forced_registrations(source: str) -> list[str]:
    return [
        f"line {node.lineno}: force=True"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", "") == "register_module"
        and any(keyword.arg == "force" for keyword in node.keywords)
    ]


def tables_with_formulas(source: str) -> list[str]:
    """Calls that write CSV past ``core.tables``, which marks text that a spreadsheet would run."""
    return [
        f"line {node.lineno}: {node.func.attr}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("to_csv", "writer", "DictWriter")
    ]


def oversized(source: str) -> list[str]:
    lines = len(source.splitlines())
    faults = [f"{lines} lines in one module"] if lines > MODULE_LINES else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            first = node.body[0]
            is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            docstring = first.end_lineno - first.lineno + 1 if is_docstring else 0
            length = node.end_lineno - node.lineno + 1 - docstring
            if length > FUNCTION_LINES:
                faults.append(f"{length} lines in {node.name}()")
    return faults


OPENINGS = re.compile(r"(What|Whether|Which|How|Who|Of)\b")


def docstrings_that_ask(source: str) -> list[str]:
    """Docstrings that open with a question's word instead of a verb or a noun."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    tree = ast.parse(source)
    found = [ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds)]
    for node in ast.walk(tree):  # and those below a name
        body = getattr(node, "body", None)
        for name, said in itertools.pairwise(body if isinstance(body, list) else ()):
            if isinstance(name, ast.Assign | ast.AnnAssign) and isinstance(said, ast.Expr):
                found.append(getattr(said.value, "value", None))
    openings = (OPENINGS.match(text) for text in found if isinstance(text, str))
    return [opening.group() for opening in openings if opening]


def any_imports(source: str) -> list[str]:
    """A config with an import before ``_base_`` stops inheriting; after it, the name leaks."""
    return list(imports_of(ast.parse(source)))


def heavy_imports(source: str) -> list[str]:
    """What a tool imports before ``main`` runs, beside Python's own modules and the package's."""
    body = ast.Module([node for node in ast.parse(source).body if is_import(node)], [])
    light = {*sys.stdlib_module_names, "equikpt", "equikpt_runtime"}
    return [name for name in imports_of(body) if name.split(".")[0] not in light]


def is_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


FORBIDDEN = re.compile(
    r"(?<![\w.:/-])/(?:home|root|Users|work|mnt|media)/\w"  # a path of one machine
    r"|\b(?:TODO|FIXME|XXX|HACK)\b"  # an open end belongs to the tracker
    r"|\b[Ii]ssues? +(?:no\.? *)?#?\d"  # a number that means nothing here (owner/name#7 does)
    r"|\btype: *ignore(?! *\[)"  # silences more than it names
)


def forbidden_words(text: str) -> list[str]:
    return [
        f"line {number}: {match.group()}"
        for number, line in enumerate(text.splitlines(), 1)
        for match in FORBIDDEN.finditer(line)
    ]


def faults_in(files: list[Path], rule: Callable[[str], list[str]]) -> list[str]:
    return [
        f"{path.relative_to(REPO)}: {fault}"
        for path in files
        for fault in rule(path.read_text(encoding="utf-8"))
    ]


# --- the package ---


def test_every_room_has_its_level_and_the_top_holds_rooms():
    rooms = {room_of(path) for path in PACKAGE} - {"__init__"}
    assert sorted(rooms) == sorted(LEVEL_OF), "give each room its row in LEVELS, and only rooms"
    modules = sorted(path.name for path in PACKAGE if path.parent.name == "equikpt")
    assert len(modules) <= MODULES_AT_THE_TOP, modules


@pytest.mark.parametrize("room", sorted(LEVEL_OF))
def test_nothing_flows_back(room):
    files = [path for path in PACKAGE if room_of(path) == room]
    assert faults_in(files, lambda source: backward_imports(source, room)) == []


def test_importing_the_package_imports_only_python():
    source = (REPO / "equikpt" / "__init__.py").read_text()
    light = {*sys.stdlib_module_names, "equikpt_runtime"}
    assert {name.split(".")[0] for name in any_imports(source)} <= light
    source = (REPO / "runtime" / "equikpt_runtime" / "__init__.py").read_text()
    assert {name.split(".")[0] for name in any_imports(source)} <= sys.stdlib_module_names


def test_the_runtime_knows_nothing_of_the_package():
    assert RUNTIME
    assert faults_in(RUNTIME, foreign_imports) == []


def test_the_package_logs_and_raises():
    commands = [path for path in PACKAGE if path.parent.name == "commands"]
    files = [path for path in PACKAGE if path.name != "entry.py" and path not in commands]
    assert faults_in([*files, *PROJECTS, *RUNTIME], prints_and_asserts) == []


def test_registrations_replace_nobodys_and_tables_hold_no_formulas():
    assert faults_in(PACKAGE, forced_registrations) == []
    files = [path for path in PACKAGE if path.name != "tables.py"]
    files += [path for path in RUNTIME if path.name != "cells.py"]
    assert faults_in(files, tables_with_formulas) == []


def test_modules_and_functions_are_short():
    assert faults_in([*PACKAGE, *PROJECTS, *RUNTIME], oversized) == []


def test_docstrings_open_with_a_verb_or_a_noun():
    files = [*PACKAGE, *PROJECTS, *TOOLS, *BENCHMARKS, *RUNTIME]
    assert faults_in(files, docstrings_that_ask) == []


def test_no_module_is_named_for_anything():
    assert [
        path for path in (*PACKAGE, *RUNTIME) if path.stem in ("utils", "util", "helpers", "misc")
    ] == []


def test_projects_know_the_package_and_nothing_around_it():
    assert PROJECTS
    for path in PROJECTS:
        packages = {name.split(".")[0] for name in imports_of(ast.parse(path.read_text()))}
        assert packages.isdisjoint({*OUTSIDE} - {"projects"}), path


# --- configs and tools ---


def test_configs_import_nothing():
    assert CONFIGS
    assert faults_in(CONFIGS, any_imports) == []


def test_tools_import_the_heavy_things_late():
    commands = [path for path in PACKAGE if path.parent.name == "commands"]
    assert TOOLS
    assert commands
    assert faults_in([*TOOLS, *commands], heavy_imports) == []


@pytest.mark.parametrize(
    "command",
    [["-m", "equikpt"], *([str(tool)] for tool in TOOLS)],
    ids=lambda command: Path(command[-1]).stem,
)
def test_help_does_not_wait_for_torch(command):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command, "--help"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "argparse" in imported  # the list is there
    assert imported & {"torch", "mmengine", "cv2", "albumentations"} == set()


def test_no_forbidden_words():
    files = [path for path in text_files() if path != Path(__file__).resolve()]
    assert REPO / "setup.sh" in files
    assert faults_in(files, forbidden_words) == []


# --- the rules see what they are for ---


@pytest.mark.parametrize(
    ("rule", "source", "count"),
    [
        (lambda s: backward_imports(s, "metainfo"), "import equikpt.datasets.horse26", 1),
        (lambda s: backward_imports(s, "models"), "from equikpt.engine import amp", 1),
        (lambda s: backward_imports(s, "models"), "def f():\n    from equikpt import engine", 1),
        (lambda s: backward_imports(s, "datasets"), "from equikpt.codecs import x", 1),
        (lambda s: backward_imports(s, "datasets"), "from . import transforms", 1),
        (lambda s: backward_imports(s, "datasets"), "from tools import train", 1),
        (lambda s: backward_imports(s, "datasets"), "from projects.sample_horses import x", 1),
        (lambda s: backward_imports(s, "datasets"), "from equikpt.metainfo import schema", 0),
        (lambda s: backward_imports(s, "datasets"), "from equikpt.datasets import horse26", 0),
        (foreign_imports, "from equikpt.core import files", 1),
        (foreign_imports, "def f():\n    import torch", 1),
        (foreign_imports, "import json\nfrom equikpt_runtime.files import write_text", 0),
        (prints_and_asserts, "def f(x):\n    assert x\n    print(x)", 2),
        (prints_and_asserts, "logger.print('assert')", 0),
        (forced_registrations, "@HOOKS.register_module(force=True)\nclass A: ...", 1),
        (forced_registrations, "@HOOKS.register_module()\nclass A: ...", 0),
        (tables_with_formulas, "csv.writer(f)\ntable.to_csv(path)", 2),
        (oversized, "x = 1\n" * (MODULE_LINES + 1), 1),
        (oversized, "def f():\n" + "    x = 1\n" * FUNCTION_LINES, 1),
        (oversized, "def f():\n    '''" + "\n" * 60 + "    '''\n    return 1", 0),
        (docstrings_that_ask, '"""What it is."""', 1),
        (docstrings_that_ask, 'A = 1\n"""How much."""\nB = 2\n"""Share of it."""', 1),
        (docstrings_that_ask, 'def f():\n    """Whether so."""\nclass A:\n    """Of a."""', 2),
        (docstrings_that_ask, 'def f():\n    """Offer what is there."""', 0),
        (any_imports, "import os\nfrom a import b", 2),
        (heavy_imports, "import argparse\nimport torch\nfrom cv2 import x\nimport equikpt", 2),
        (heavy_imports, "def main():\n    import torch", 0),
        (forbidden_words, "# see /" + "home/me/x", 1),
        (forbidden_words, "see https://host/home/me and data/home/x", 0),
        (forbidden_words, "# TO" + "DO: later", 1),
        (forbidden_words, "as issue " + "#12 says", 1),
        (forbidden_words, "open-mmlab/mmpose#12", 0),
        (forbidden_words, "x = y  # type: ignore", 1),
        (forbidden_words, "x = y  # type: ignore[attr-defined]  # no stubs", 0),
    ],
)
def test_a_planted_fault_is_seen(rule, source, count):
    assert len(rule(source)) == count
