"""README and site: links lead somewhere, commands can be typed, pages are made from the code."""

from __future__ import annotations

import ast
import doctest
import importlib
import json
import re
import shlex
from pathlib import Path

import pytest

from docs.generate import hooks, house, reference
from equikpt.core.configs import list_configs

REPO = Path(__file__).resolve().parent.parent
DOCS = REPO / "docs"
PAGES = sorted(DOCS.glob("*.md"))
WRITTEN = [REPO / "README.md", REPO / "data" / "README.md", *PAGES]
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
TOOLS = {path.stem: path for path in (REPO / "tools").glob("*.py")}
CONFIG_NAME = re.compile(
    r"(?:experimental/)?(?:smoke/)?(?:(?:td-hm|hm|sequential)_[a-z]+-?\w*_[\w-]+[a-z0-9]"
    r"|(?:rtmpose_m|hrnet_w32)_a[\w]+)"
)
MADE = {*hooks.MADE, *(f"notebooks/{path.stem}.md" for path in NOTEBOOKS)}
MADE |= {f"reference/api/{room}.md" for room in (*reference.ROOMS, "index")}


def of(path: Path) -> str:
    return path.relative_to(REPO).as_posix()


def commands_in(text: str) -> list[list[str]]:
    """Words of the lines in fenced shell blocks that call a tool, after ``equikpt`` or its path."""
    found = []
    for block in re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            for place, word in enumerate(words):
                name = re.fullmatch(r"(?:tools/)?(\w+)\.py", word)
                if word == "equikpt" and all("=" in before for before in words[:place]):
                    found.append(words[place + 1 :])
                    break
                if name and word.startswith("tools/"):
                    found.append([name[1], *words[place + 1 :]])
                    break
    return found


def notebook_commands(path: Path) -> str:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    lines = "".join("".join(cell["source"]) + "\n" for cell in cells).splitlines()
    typed = [line[1:].split("2>")[0] for line in lines if line.startswith("!")]
    return "```bash\n" + "\n".join(typed) + "\n```"


def wrong_in(words: list[str]) -> list[str]:
    """The command and those options of a typed line that do not exist."""
    tool, *arguments = words
    if tool not in TOOLS:
        return [tool]
    if tool == "run_openmmlab":  # what follows is another program's
        return []
    typed = [word.split("=")[0] for word in arguments if word.startswith("--")]
    known = set(re.findall(r"(?<![\w-])--[\w-]+", reference.help_of(TOOLS[tool])))
    return [f"{tool} {word}" for word in typed if word not in known]


@pytest.mark.parametrize("page", [*WRITTEN, *NOTEBOOKS], ids=of)
def test_commands_can_be_typed(page):
    is_notebook = page.suffix == ".ipynb"
    text = notebook_commands(page) if is_notebook else page.read_text(encoding="utf-8")
    assert [fault for words in commands_in(text) for fault in wrong_in(words)] == []


def test_a_command_that_does_not_exist_is_seen():
    text = "```bash\nequikpt tarin x\npython tools/test.py a b --draws x  # --no\n```"
    assert [wrong_in(words) for words in commands_in(text)] == [["tarin"], ["test --draws"]]


@pytest.mark.parametrize("page", WRITTEN, ids=of)
def test_links_lead_to_files(page):
    targets = re.findall(r"\]\(([^)\s#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    lost = [
        target
        for target in local
        if not (page.parent / target).exists()
        and not (page.parent == DOCS and target in MADE)
    ]  # fmt: skip
    assert lost == []


@pytest.mark.parametrize("page", WRITTEN, ids=of)
def test_named_configs_exist(page):
    named = CONFIG_NAME.findall(page.read_text(encoding="utf-8"))
    known = {*list_configs(), *(name.split("/")[-1] for name in list_configs())}
    assert [name for name in named if name not in known] == []


def test_the_readme_is_one_page():
    assert len((REPO / "README.md").read_text(encoding="utf-8").splitlines()) < 120


def test_requirements_name_files():
    lines = (REPO / "requirements.txt").read_text(encoding="utf-8").splitlines()
    included = [line.removeprefix("-r ") for line in lines if line.startswith("-r ")]
    assert included
    assert all((REPO / name).is_file() for name in included)


# --- what is made from the code ---


@pytest.mark.parametrize("room", reference.ROOMS)
def test_the_api_has_every_public_name(room):
    module = importlib.import_module(f"equikpt.{room}")
    assert set(reference.public_names(room)) == set(module.__all__)


def test_every_room_is_in_the_house():
    drawn, table = house.house_svg(), house.rooms_table()
    for rooms in house.levels():
        for room in rooms:
            assert f">{room}<" in drawn
            assert f"| `{room}` |" in table


def test_the_horse_has_every_point():
    from docs.generate import horse

    drawn = horse.keypoints_svg()
    assert len(drawn) < 300_000
    for number, point in enumerate(horse.KEYPOINTS):
        assert f">{number} {point.name}<" in drawn


def test_sides_of_keypoints():
    from docs.generate.horse import KEYPOINTS, side_of

    sides = {point.name: side_of(point.name) for point in KEYPOINTS}
    swapped = {point.name for point in KEYPOINTS if point.swap}
    assert {name for name, side in sides.items() if side} == swapped


def test_doctests_of_the_site_run():
    docstrings = pytest.importorskip("docs.generate.docstrings")  # griffe comes with mkdocs
    failed, tried = doctest.testmod(docstrings)
    assert (failed, tried) == (0, 2)


def test_the_page_of_commands_has_every_tool():
    page = reference.commands_page()
    assert all(f"\n## {tool}\n" in page for tool in TOOLS)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=of)
def test_notebooks_are_small_and_whole(notebook):
    assert notebook.stat().st_size < 200_000
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    for source in code:
        ast.parse(re.sub(r"^!.*$", "pass", source, flags=re.MULTILINE))
