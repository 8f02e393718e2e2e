"""The file of a keypoint set: MMPose's metainfo file, checked when read, and written in one way.

It is a config with one variable, ``dataset_info``, which data sets take as
``metainfo=dict(from_file="keypoints.py")``. One key is the package's own: ``sigmas_source`` says
where the sigmas come from, a guess or a measurement.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from pprint import pformat

from equikpt.metainfo.schema import Keypoint, Link, build_metainfo, side_beside

TOP = ("dataset_name", "keypoint_info", "skeleton_info", "joint_weights", "sigmas")
CHECKED = ("id", "name", "type", "swap", "link")
SIGMAS_SOURCE = "sigmas_source"
EXAMPLE = '0: dict(name="nose", id=0, color=[51, 153, 255], type="upper", swap="")'


def read_keypoint_set(path: str | PathLike) -> dict:
    """Read the metainfo of a keypoint set and check it.

    Returns:
        ``dataset_info`` as the file has it; what may be absent, as MMPose has it, is filled in.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no keypoint set, or one with a mistake, which the message names.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no keypoint set {path}; give a file such as keypoints.py")
    from mmengine.config import Config

    try:
        config = Config.fromfile(str(path), import_custom_modules=False)
    except Exception as error:  # a config is code: anything can be wrong with it
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} is no keypoint set: {type(error).__name__}, {reason}") from error
    info = config.to_dict().get("dataset_info")
    if not isinstance(info, dict):
        raise ValueError(f"{path} has no dataset_info = dict(…); expected a keypoint set")
    try:
        return checked_metainfo(info)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def checked_metainfo(info: Mapping) -> dict:
    """Check MMPose's metainfo as it stands in a file, and fill in what may be absent.

    Raises:
        ValueError: A sentence for the first mistake.

    >>> checked_metainfo(dict(dataset_name="eye", keypoint_info={0: dict(name="eye")}))
    Traceback (most recent call last):
    ValueError: dataset_info has no joint_weights; it needs dataset_name, keypoint_info, ...
    """
    info = {"skeleton_info": {}, **info}
    for key in TOP:
        if key not in info:
            raise ValueError(f"dataset_info has no {key}; it needs {', '.join(TOP)}")
    name = info["dataset_name"]
    if not isinstance(name, str):
        raise ValueError(f"dataset_name is {name!r}; expected a text")
    rows = _rows(info["keypoint_info"], "keypoint_info", EXAMPLE)
    names = [row.get("name") for row in rows]
    sigmas, weights = (_numbers(info[key], key, len(rows)) for key in ("sigmas", "joint_weights"))
    keypoints = [
        _keypoint(row, names, sigma, weight)
        for row, sigma, weight in zip(rows, sigmas, weights, strict=True)
    ]
    example = '0: dict(link=("nose", "neck"), id=0, color=[51, 153, 255])'
    lines = _rows(info["skeleton_info"], "skeleton_info", example)
    built = build_metainfo(name, keypoints, [_link(row) for row in lines])
    for key, own in (("keypoint_info", rows), ("skeleton_info", lines)):
        for index, row in enumerate(own):
            _check_color(row, key)
            extra = {name: value for name, value in row.items() if name not in CHECKED}
            built[key][index].update(extra)
    return {**info, **built}


def keypoint_set_text(
    metainfo: Mapping, header: str | Sequence[str], remarks: Sequence[str] = ()
) -> str:
    """Write the file of a keypoint set.

    Args:
        metainfo: Of K keypoints, as :func:`equikpt.metainfo.build_metainfo` builds it.
        header: One line or several, without ``#``; they may hold any character.
        remarks: Of the K sigmas, behind each; none by default.
    """
    names = [row["name"] for row in metainfo["keypoint_info"].values()]
    sigmas = _sigma_lines(names, metainfo["sigmas"], remarks or [""] * len(names))
    rest = {key: value for key, value in metainfo.items() if key not in TOP}
    blocks = [
        f"    dataset_name={as_literal(metainfo['dataset_name'])},",
        "    # type: half of the body; swap: the same point on the other side; color: RGB",
        *_table("keypoint_info", metainfo["keypoint_info"], ("name", "id", "type", "swap")),
        "    # lines that are drawn",
        *_table("skeleton_info", metainfo["skeleton_info"], ("link", "id")),
        f"    joint_weights={_wrapped([*map(float, metainfo['joint_weights'])])},",
        *(f"    {key}={_wrapped(value)}," for key, value in rest.items()),
        "    sigmas=[",
        *(f"        {line}" for line in sigmas),
        "    ],",
    ]
    lines = [header] if isinstance(header, str) else header
    comment = [f"# {as_literal(line)[1:-1]}".rstrip() for line in lines]
    return "\n".join([*comment, "dataset_info = dict(", *blocks, ")", ""])


def with_sigmas(
    text: str, names: Sequence[str], sigmas: Sequence[float], remarks: Sequence[str], source: str
) -> str:
    """Put sigmas into the text of a keypoint set's file, in which all else stays.

    Args:
        text: Of the file.
        names: Of its K keypoints.
        sigmas: Of each.
        remarks: Of the K sigmas, behind each.
        source: Where they come from, for ``sigmas_source`` where the file has that.

    Raises:
        ValueError: The file is no ``dataset_info = dict(…, sigmas=…)``.
    """
    content = text.encode()
    stated = _keywords(content)
    if "sigmas" not in stated:
        raise ValueError("has no dataset_info = dict(…, sigmas=[…]) to put sigmas into")
    lines = content.splitlines(keepends=True)
    starts = [0, *itertools.accumulate(map(len, lines))]
    start_line = lines[stated["sigmas"].lineno - 1]
    indent = start_line[: len(start_line) - len(start_line.lstrip())].decode()
    rows = "".join(f"{indent}    {row}\n" for row in _sigma_lines(names, sigmas, remarks))
    new = {"sigmas": f"sigmas=[\n{rows}{indent}]"}
    if SIGMAS_SOURCE in stated:
        new[SIGMAS_SOURCE] = f"{SIGMAS_SOURCE}={as_literal(source)}"
    spans = []
    for key, piece in new.items():
        node = stated[key]
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        spans.append((starts[node.lineno - 1] + node.col_offset, end, piece.encode()))
    for begin, end, written in sorted(spans, reverse=True):
        content = content[:begin] + written + content[end:]
    return content.decode()


def _keywords(content: bytes) -> dict[str | None, ast.keyword]:
    """Keywords of ``dataset_info = dict(…)`` by name; none where it is written otherwise."""
    try:
        nodes = ast.parse(content).body
    except SyntaxError:  # MMEngine's own words in braces
        return {}
    infos = [
        node.value
        for node in nodes
        if isinstance(node, ast.Assign)
        and any(isinstance(to, ast.Name) and to.id == "dataset_info" for to in node.targets)
    ]
    calls = [info for info in infos[-1:] if isinstance(info, ast.Call)]
    return {each.arg: each for call in calls for each in call.keywords}


def _sigma_lines(
    names: Sequence[str], sigmas: Sequence[float], remarks: Sequence[str]
) -> list[str]:
    return [
        f"{float(sigma)!r},  # {as_literal(name)}{': ' if remark else ''}{remark}"
        for name, sigma, remark in zip(names, sigmas, remarks, strict=True)
    ]


def as_literal(value: object) -> str:
    """A literal that stays on its line and is no code whatever text it holds.

    MMEngine replaces ``{{ … }}`` in the text of a config before it runs it, hence no pairs.
    """
    return repr(value).replace("{{", r"{\x7b").replace("}}", r"}\x7d")


def _table(key: str, rows: Mapping[int, Mapping], first: Sequence[str]) -> list[str]:
    lines = [
        f"        {index}: dict("
        + ", ".join(f"{name}={as_literal(row[name])}" for name in dict.fromkeys((*first, *row)))
        + "),"
        for index, row in rows.items()
    ]
    return [f"    {key}={{", *lines, "    },"] if lines else [f"    {key}={{}},"]


def _wrapped(value: object) -> str:
    text = pformat(value, width=88, compact=True, sort_dicts=False)
    return text.replace("\n", "\n    ").replace("{{", r"{\x7b").replace("}}", r"}\x7d")


def _rows(table: object, key: str, example: str) -> list[dict]:
    """Rows of ``{0: dict(…), 1: …}``, in the order of their numbers, which count, not their ids."""
    if not isinstance(table, Mapping) or not all(isinstance(r, Mapping) for r in table.values()):
        raise ValueError(f"{key} is no table; expected rows such as {example}")
    if list(table) != list(range(len(table))):
        raise ValueError(
            f"{key} has the rows {', '.join(map(str, table))}; number them from 0 on, without gaps"
        )
    return [dict(row) for row in table.values()]


def _numbers(values: object, key: str, count: int) -> list[float]:
    numbers = list(values) if isinstance(values, (list, tuple)) else None
    if numbers is None or not all(type(number) in (int, float) for number in numbers):
        raise ValueError(f"{key} is {values!r}; expected a list of {count} numbers")
    if len(numbers) != count:
        raise ValueError(f"{key} has {len(numbers)} numbers; expected {count}, one a keypoint")
    return numbers


def _keypoint(row: Mapping, names: Sequence[object], sigma: float, weight: float) -> Keypoint:
    name: str = row.get("name", None)
    part, swap = row.get("type") or "", row.get("swap") or ""
    for key, value in (("name", name), ("type", part), ("swap", swap)):
        if not isinstance(value, str):
            raise ValueError(f"a keypoint has {key} {value!r}; expected a text, as in {EXAMPLE}")
    swap = "" if swap == name else swap  # MMPose takes either for a point that stays
    side = ""
    if swap in names:  # without a side in the name, the first of the two stands for the left
        side = side_beside(name, swap) or (
            "left" if names.index(name) < names.index(swap) else "right"
        )
    return Keypoint(name, part, sigma, weight, swap, side)


def _link(row: Mapping) -> Link:
    ends = row.get("link")
    if (
        not isinstance(ends, (list, tuple))
        or len(ends) != 2
        or not all(isinstance(end, str) for end in ends)
    ):
        raise ValueError(f"skeleton_info has link {ends!r}; expected two names of keypoints")
    return Link(*ends)


def _check_color(row: Mapping, key: str) -> None:
    color = row.get("color")
    if "color" in row and not (
        isinstance(color, (list, tuple))
        and len(color) == 3
        and all(type(value) is int and 0 <= value <= 255 for value in color)
    ):
        raise ValueError(f"{key} has color {color!r}; expected red, green and blue, each 0 to 255")
