"""Reference pages that are read off the code: commands, configs, public names."""

from __future__ import annotations

import ast
import functools
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
CONFIGS = REPO / "configs"
ROOMS = (
    "apis", "metainfo", "datasets", "datasets.transforms", "codecs", "models", "evaluation",
    "evaluation.functional", "engine", "checkpoints", "data_tools", "visualization", "structures",
    "report", "export", "suggestions", "config_checks", "gait", "tracks",
)  # fmt: skip


def docstring_of(path: Path) -> str:
    """Read a module's docstring without importing it."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


# --- commands ---


def commands_page() -> str:
    """Write ``--help`` of every command, after a table of all."""
    tools = sorted((REPO / "tools").glob("*.py"))
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        helps = list(pool.map(help_of, tools))
    rows = [f"| [`{tool.stem}`](#{tool.stem}) | {_first_line(tool)} |" for tool in tools]
    parts = [
        "# Commands",
        "Each is `python tools/NAME.py …` in a checkout and `equikpt NAME …` anywhere. "
        "Exit code 0: done; 1: something was found or could not be done; 2: wrong input, with one "
        "sentence that says what to do.",
        "\n".join(["| command | what it does |", "| --- | --- |", *rows]),
    ]
    for tool, text in zip(tools, helps, strict=True):
        parts.append(f"## {tool.stem}\n\n```text\n{text}\n```")
    return "\n\n".join(parts) + "\n"


def _first_line(tool: Path) -> str:
    return docstring_of(tool).split("\n")[0]


@functools.cache
def help_of(tool: Path) -> str:
    """Run a tool with ``--help``."""
    environment = {**os.environ, "PYTHONPATH": str(REPO), "COLUMNS": "88", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, str(tool), "--help"],
        capture_output=True, text=True, env=environment, timeout=300,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{tool.name} --help failed: {done.stderr[-500:]}")
    return done.stdout.strip()


# --- configs ---


def configs_page() -> str:
    """Write every config: its docstring, its key figures, its file; the base files below."""
    from mmengine.config import Config

    import equikpt.compat  # noqa: F401  # readies the stack that configs name

    parts = ["# Config reference", CONFIGS_INTRODUCTION]
    for title, folder in SECTIONS:
        parts.append(f"## {title}")
        for path in sorted((CONFIGS / folder).glob("*.py")):
            name = path.relative_to(CONFIGS).with_suffix("").as_posix()
            parts += [
                f"### {name}",
                *_described(docstring_of(path), _figures(Config.fromfile(str(path)))),
                _folded(f"configs/{name}.py", _without_docstring(path)),
            ]
    parts.append("## Base files\n\nA config inherits these by `_base_`.")
    for path in sorted((CONFIGS / "_base_").rglob("*.py")):
        name = path.relative_to(CONFIGS).as_posix()
        parts.append(_folded(name, path.read_text(encoding="utf-8")))
    return "\n\n".join(parts) + "\n"


SECTIONS = (
    ("Configs", ""),
    ("Experimental", "experimental"),
    ("Small twins", "smoke"),
    ("Small twins of experimental ones", "experimental/smoke"),
)

CONFIGS_INTRODUCTION = """\
Generated from the files in `configs/`. A config is given by its path, or by
its name from any folder: `equikpt train rtmpose_m_ap10k`.

`--cfg-options KEY=VALUE` changes any key that is still read when the file has been run:

| key | what it changes |
| --- | --- |
| `train_dataloader.batch_size` | images a step; with `--auto-scale-lr` the rate goes along |
| `train_dataloader.num_workers` | processes that read and augment images |
| `optim_wrapper.optimizer.lr` | learning rate |
| `model.backbone.frozen_stages` | frozen early stages: 0 is the stem, -1 none |
| `optim_wrapper.paramwise_cfg.module_lr_mult.backbone` | rate of the backbone, as a factor |
| `default_hooks.early_stopping.patience` | validations without a gain until the training ends |
| `load_from` | weights to start from |

`data_root`, `codec`, `train_pipeline` and the like only build other keys. They are refused, with
the keys that work. `--epochs` and `--data-root` change all that depends on them.
"""


def _described(docstring: str, figures: dict[str, object]) -> list[str]:
    """Write a config's docstring as a paragraph and a table of its ``Key: value`` lines."""
    paragraph, rows, key = [], dict[str, str](), ""
    for line in docstring.splitlines():
        named = re.match(r"([A-Z][a-z]+): +(.*)", line)
        if named:
            key, line = named.groups()
        if key:
            rows[key] = f"{rows.get(key, '')} {line.strip()}".strip()
        else:
            paragraph.append(line)
    for key in ("Command", "Both"):
        if key in rows:
            rows[key] = "`" + " ".join(rows[key].split()) + "`"
    shown = {**{key.lower(): value for key, value in rows.items()}, **figures}
    table = [f"| {key} | {value} |" for key, value in shown.items()]
    return ["\n".join(paragraph).strip(), "\n".join(["| | |", "| --- | --- |", *table])]


def _figures(config) -> dict[str, object]:
    model, head = config.model, config.model.get("head", {})
    codec = head.get("decoder") or {}
    size = " × ".join(map(str, codec.get("input_size", ())))
    optimizer = config.optim_wrapper.optimizer
    rows = {
        "network": f"`{model.get('backbone', {}).get('type', '')}`, `{head.get('type', '')}`",
        "input": f"{size} px, width × height" if size else "",
        "data set": f"`{config.train_dataloader.dataset.get('type', '')}`",
        "batch": config.train_dataloader.batch_size,
        "epochs": config.train_cfg.max_epochs,
        "optimizer, rate": f"{optimizer.type}, {optimizer.lr:g}",
        "frozen stages": model.get("backbone", {}).get("frozen_stages", ""),
        "starts from": f"`{config.load_from}`" if config.get("load_from") else "",
    }
    return {key: value for key, value in rows.items() if value not in ("", None, -1)}


def _without_docstring(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    first = ast.parse(text).body[0]
    return "\n".join(text.splitlines()[first.end_lineno :]).strip()


def _folded(title: str, code: str) -> str:
    indented = "\n".join(f"    {line}".rstrip() for line in code.strip().splitlines())
    return f'??? note "{title}"\n\n    ```python\n{indented}\n    ```'


# --- public names ---


def api_pages() -> dict[str, str]:
    """Write a page a room of its public names, and one that lists the rooms."""
    pages, rows = {}, []
    for room in ROOMS:
        names = public_names(room)
        summary = docstring_of(_folder(room) / "__init__.py").split("\n")[0]
        summary = summary.replace("``", "`")
        rows.append(f"| [`equikpt.{room}`]({room}.md) | {summary} | {len(names)} |")
        parts = [f"# equikpt.{room}", summary]
        for name, module in sorted(names.items(), key=lambda item: item[0].lower()):
            parts.append(f"::: {module}.{name}" if module else f"::: equikpt.{room}.{name}")
        pages[f"reference/api/{room}.md"] = "\n\n".join(parts) + "\n"
    pages["reference/api/index.md"] = "\n".join(
        [
            "# Python API\n",
            "Public names, by room. `from equikpt.apis import Predictor` loads only what the name "
            "needs. Examples that begin with `>>>` run in the tests.\n",
            "| room | holds | names |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )
    return pages


def public_names(room: str) -> dict[str, str]:
    """Return the public names of a room, each with the module that defines it.

    A module that is public itself has an empty string.
    """
    folder = _folder(room)
    stub = folder / "__init__.pyi"
    source = stub if stub.is_file() else folder / "__init__.py"
    names = {}
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.ImportFrom) or node.module == "__future__":
            continue
        for alias in node.names:
            base = f"equikpt.{room}" if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            names[alias.asname or alias.name] = "" if node.level and not node.module else module
    return names


def _folder(room: str) -> Path:
    return REPO.joinpath("equikpt", *room.split("."))


# --- tables inside written pages ---


def correspondence_rows() -> str:
    """List the points that other data sets share with horse26."""
    from equikpt.metainfo.correspondence import TABLE

    return "\n".join(
        f"| `{row.horse26}` | {row.ap10k} | {row.animalpose} | {row.horse10} |"
        for row in TABLE
        if row.ap10k or row.animalpose or row.horse10
    )


def formats_table() -> str:
    """Table of the formats that are converted, as ``convert_dataset --help`` prints it."""
    lines = help_of(REPO / "tools" / "convert_dataset.py").splitlines()
    return "\n".join(line for line in lines if line.startswith("|"))


def recipe_table() -> str:
    """Table of the rules by which ``init`` chooses, with its constants filled in."""
    from equikpt.data_tools.project import recipe

    def filled(match: re.Match) -> str:
        value = getattr(recipe, match[1])
        if isinstance(value, dict):
            return f"`{match[1]}`"
        if match[1].endswith("MEMORY"):
            return f"{value / 2**30:g} GiB"
        return f"{value:g} px" if match[1].endswith("PX") else f"{value:g}"

    lines = (recipe.__doc__ or "").splitlines()
    rules = [number for number, line in enumerate(lines) if line.startswith("===")]
    width = len(lines[rules[0]].split()[0]) + 2
    rows: list[list[str]] = []
    for line in lines[rules[1] + 1 : rules[2]]:
        if line[:width].strip():
            rows.append([line[:width].strip(), ""])
        rows[-1][1] += f" {line[width:].strip()}"
    texts = [f"| {name} | {re.sub(r'``([A-Z_]+)``', filled, text)} |" for name, text in rows]
    return "\n".join(["| choice | rule |", "| --- | --- |", *texts])
