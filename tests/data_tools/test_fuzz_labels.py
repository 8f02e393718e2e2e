"""Damaged and hostile label files: each ends as success or as one sentence, never as a traceback.

A case is a small valid input of which one file is changed: a value of its JSON, a cell of its text,
or its bytes. Seeded: the same cases in every run.
"""

import json
import linecache
import random
import re
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from equikpt.cli import entry as cli
from equikpt.data_tools.convert.conversion import convert, export
from equikpt.data_tools.convert.reading import Reading
from equikpt.data_tools.convert.writer import Options
from equikpt.data_tools.sigma_pairs import pairs_of_annotations, pairs_with_predictions
from equikpt.data_tools.split import Division, SplitOptions, split
from equikpt.data_tools.verify.ruler import examine, read_labels
from equikpt.data_tools.verify.run import verify
from tests.data_tools.convert.conftest import write_backup, write_coco

NAMES = ("nose", "l_knee", "r_knee")
LONGEST_SENTENCE = 3000

# --- valid inputs ---


def plain_coco(root: Path) -> dict[str, dict]:
    return write_coco(root, NAMES)


def with_results(root: Path) -> None:
    content = plain_coco(root)["val"]
    rows = [{**row, "score": 0.5} for row in content["annotations"]]
    (root / "results.json").write_text(json.dumps(rows))


def animalpose(root: Path) -> None:
    """Of its own form: names by id, two corners, nested keypoints."""
    for part, content in plain_coco(root).items():
        content["images"] = {str(row["id"]): row["file_name"] for row in content["images"]}
        for row in content["annotations"]:
            x, y, width, height = row["bbox"]
            row["bbox"] = [x, y, x + width, y + height]
            row["keypoints"] = [row["keypoints"][i : i + 3] for i in (0, 3, 6)]
        (root / f"annotations/{part}.json").write_text(json.dumps(content))


def ap10k(root: Path) -> None:
    plain_coco(root)
    for path in sorted((root / "annotations").glob("*.json")):
        path.rename(path.with_name(f"ap10k-{path.stem}-split1.json"))


def exported(format_name: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        source = root.parent / "coco"
        plain_coco(source)
        export("coco", source, root, format_name, options=Options())
        if format_name == "dlc":
            for folder in (source / "images").iterdir():
                for path in folder.iterdir():
                    target = root / "labeled-data" / folder.name / path.name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, target)

    return make


def dlc_h5(root: Path) -> None:
    pytest.importorskip("tables")
    exported("dlc")(root)
    for path in root.rglob("CollectedData*.csv"):
        table = pd.read_csv(path, header=[0, 1, 2, 3], index_col=0)
        table.to_hdf(path.with_suffix(".h5"), key="df_with_missing", mode="w")
        path.unlink()


def sleap(root: Path) -> None:
    sio = pytest.importorskip("sleap_io")
    plain_coco(root)
    skeleton = sio.Skeleton(nodes=[sio.Node(name) for name in NAMES])
    video = sio.Video.from_filename(list(map(str, sorted((root / "images").rglob("*.png")))))
    points = np.array([[3.0, 4], [9, 8], [20, 30]])
    frames = [
        sio.LabeledFrame(video, index, [sio.Instance.from_numpy(points, skeleton=skeleton)])
        for index in range(5)
    ]
    sio.Labels(frames, videos=[video], skeletons=[skeleton]).save(str(root / "labels.slp"))
    shutil.rmtree(root / "annotations")


def fsc(root: Path) -> None:
    """Points of unnamed things by image, as FSC-147 has them."""
    content = plain_coco(root)["train"]
    names = [row["file_name"] for row in content["images"]]
    shutil.rmtree(root / "annotations")
    (root / "points.json").write_text(json.dumps({name: {"points": [[3, 4.5]]} for name in names}))
    (root / "splits.json").write_text(json.dumps({"train": names}))


def cvat_backup(root: Path) -> None:
    shapes = []
    for index in range(2):
        elements = [
            {"type": "points", "label": name, "points": [5 * i + 3, 9], "outside": False}
            for i, name in enumerate(NAMES)
        ]
        common = {"label": "horse", "frame": index, "group": 1}
        shapes.append({"type": "skeleton", "points": [], "elements": elements, **common})
        shapes.append({"type": "rectangle", "points": [1, 2, 18, 9], "rotation": 9.0, **common})
    key_frame = {"type": "rectangle", "frame": 0, "points": [1, 2, 3, 4], "outside": False}
    jobs = [{"shapes": shapes, "tracks": [{"label": "horse", "shapes": [key_frame]}]}]
    write_backup(root, jobs, names=NAMES, data={"deleted_frames": [1]})


def cvat_zip(root: Path) -> None:
    folder = root.parent / "backup"
    cvat_backup(folder)
    root.mkdir()
    shutil.make_archive(str(root / "backup"), "zip", folder)


def ruler(root: Path) -> None:
    root.mkdir(parents=True)
    value = {"x": 50.0, "y": 40.0, "width": 0.5, "keypointlabels": ["p1"]}
    region = {"type": "keypointlabels", "id": "a", "value": value, "original_width": 9}
    region |= {"original_height": 9, "image_rotation": 0}
    other = {**region, "id": "b", "value": {**value, "keypointlabels": ["p2"], "y": 10.0}}
    tasks = [
        {"id": n, "data": {"image": f"{n}.png"}, "annotations": [{"result": [region, other]}]}
        for n in range(3)
    ]
    (root / "export.json").write_text(json.dumps(tasks))


# --- what is done with them ---


def converted(format_name: str, name: str = "", **reading) -> Callable[[Path, Path], object]:
    def act(root: Path, output: Path) -> object:
        source = root / name if name else root
        options = {key: root / value for key, value in reading.items()}
        return convert(
            format_name, source, output, target_name="coco", reading=Reading(**options), link=True
        )

    return act


def verified(root: Path, output: Path) -> object:
    files = [root / f"annotations/{part}.json" for part in ("train", "val")]
    return verify(files, [root / f"images/{part}" for part in ("train", "val")])


def divided(root: Path, output: Path) -> object:
    options = SplitOptions(Division(ratios=(0.7, 0.3)), stratify=True)
    return split(root / "annotations/train.json", output, options)


def paired(root: Path, output: Path) -> object:
    pairs_with_predictions(root / "annotations/val.json", root / "results.json")
    return pairs_of_annotations(root / "annotations/val.json", root / "annotations/val.json")


def examined(root: Path, output: Path) -> object:
    return examine(read_labels(root / "export.json"))


METAINFO = {
    "dataset_name": "three",
    "keypoint_info": {
        index: {"name": name, "id": index, "color": [0, 0, 0], "type": "upper", "swap": swap}
        for index, (name, swap) in enumerate(zip(NAMES, ("", *NAMES[:0:-1]), strict=True))
    },
    "skeleton_info": {},
    "joint_weights": [1.0] * 3,
    "sigmas": [0.05] * 3,
}


def loaded(root: Path, output: Path) -> object:
    """As training loads it, and with the boxes of a detector."""
    from equikpt.datasets.checked_coco import CheckedCocoDataset

    common = dict(metainfo=METAINFO, data_root=str(root), ann_file="annotations/val.json")
    common |= dict(data_prefix=dict(img="images/val"))
    CheckedCocoDataset(**common)
    return CheckedCocoDataset(**common, test_mode=True, bbox_file=str(root / "results.json"))


def counted(root: Path, output: Path) -> object:
    from equikpt.datasets.point_sequence import PointSequenceDataset

    return PointSequenceDataset(
        data_root=str(root),
        ann_file="points.json",
        split_file="splits.json",
        data_prefix=dict(img="images/train"),
    )


CASES: dict[str, tuple[Callable[[Path], None], Callable[[Path, Path], object]]] = {
    "coco": (plain_coco, converted("coco")),
    "coco results": (
        with_results,
        converted("coco", "annotations/val.json", predictions="results.json"),
    ),
    "animalpose": (animalpose, converted("animalpose")),
    "ap10k": (ap10k, converted("ap10k")),
    "horse10": (plain_coco, converted("horse10")),
    "yolo-pose": (exported("yolo-pose"), converted("yolo-pose")),
    "cvat": (exported("cvat"), converted("cvat", images="../coco/images")),
    "cvat backup": (cvat_backup, converted("cvat")),
    "cvat zip": (cvat_zip, converted("cvat", "backup.zip")),
    "label-studio": (
        exported("label-studio"),
        converted("label-studio", images="../coco/images"),
    ),
    "dlc": (exported("dlc"), converted("dlc")),
    "dlc h5": (dlc_h5, converted("dlc")),
    "sleap": (sleap, converted("sleap", "labels.slp")),
    "coco data set": (with_results, loaded),
    "fsc-147": (fsc, counted),
    "verify": (plain_coco, verified),
    "split": (plain_coco, divided),
    "sigmas": (with_results, paired),
    "ruler": (ruler, examined),
}

# --- what is changed ---

HOSTILE = (
    *(None, True, False, 0, -1, 1, 7, 0.5, 1e308, float("nan"), float("inf"), 10**30, 10**400),
    *("", "a", "1", " ", "nan", "../../etc/passwd", "/etc/passwd", "C:\\x\\y.png", "a\0b", "ä😀"),
    *("\ud800", "x" * 5000, "=1+1", "<&>", "train_0.png", "images", "\n"),
    *([], [1], ["a"], [[1, 2], [3]], {}, {"a": 1}, [None], [{}], [1, 2, 3, 4], [1e300] * 9),
)
BLOBS = (
    *(b"", b"\0", b"{}", b"[]", b"null", b"1", b'"a"', b"[[]]", b"[{}]", b'{"a": 1, "a": 2}'),
    *(b"\xff\xfe", b"\xef\xbb\xbf", b"[" * 100_000, b'{"a":' * 100_000, b"<", b"PK\x03\x04"),
    *(b"[1,]", b"{'a': 1}", b"NaN", b"[" + b"9" * 5000 + b"]", b"a: [", b"a,b\n1", b"\xff\xd8"),
    *(b"&a [*a]", b"!!python/object/apply:os.system ['true']", b"\x89HDF\r\n\x1a\n"),
    b'<?xml version="1.0"?><!DOCTYPE a>',
)


def places_in(content: object) -> Iterator[tuple[object, object]]:
    """Every (container, key) of parsed JSON."""
    for key, value in list(content.items() if isinstance(content, dict) else enumerate(content)):
        yield content, key
        if isinstance(value, dict | list):
            yield from places_in(value)


def changed_json(text: str, rng: random.Random) -> str:
    try:
        content = {"whole": json.loads(text)}
    except RecursionError:  # as an earlier change left it
        return text
    container, key = rng.choice(list(places_in(content)))
    way = rng.randrange(8)
    if way == 0:
        del container[key]
    elif way == 1 and isinstance(container, list):
        container.insert(key, container[key])
    elif way == 2 and isinstance(container, dict):
        container[str(rng.choice(HOSTILE))] = container.pop(key)
    else:
        container[key] = rng.choice(HOSTILE)
    return json.dumps(content.get("whole"), ensure_ascii=rng.random() < 0.5)


def changed_text(text: str, rng: random.Random) -> str:
    """One token is another one, twice there, or gone."""
    tokens = re.split(r"(\W+)", text)
    index = rng.randrange(len(tokens))
    other = rng.choice((*HOSTILE, *tokens))
    tokens[index] = rng.choice((str(other), "", tokens[index] * 2, f"{tokens[index]}\n"))
    return "".join(tokens)


def changed_bytes(content: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.3 or not content:
        return rng.choice(BLOBS)
    place = rng.randrange(len(content))
    return rng.choice(
        (
            content[:place],
            content[place:],
            content[:place] + bytes([rng.randrange(256)]) + content[place + 1 :],
            content[:place] + rng.choice(BLOBS) + content[place:],
            content * 2,
            content.decode("latin-1").encode("utf-16"),
        )
    )


def change_one_file(root: Path, rng: random.Random) -> str:
    """Change a label file below a folder; what was done."""
    labels = [path for path in sorted(root.rglob("*")) if path.is_file() and path.suffix != ".png"]
    if not labels:
        return "the only one is a folder now"
    path = rng.choice(labels)
    way = rng.choice(("json", "json", "json", "text", "text", "bytes", "gone", "folder"))
    content = path.read_bytes()
    try:
        if way == "json":
            new = changed_json(content.decode(), rng).encode("utf-8", "surrogatepass")
        elif way == "text":
            new = changed_text(content.decode(), rng).encode("utf-8", "surrogatepass")
        else:
            new = changed_bytes(content, rng)
    except ValueError:  # no JSON, or no text
        way, new = "bytes", changed_bytes(content, rng)
    path.unlink()
    if way == "folder":
        path.mkdir()
    elif way != "gone":
        path.write_bytes(new)
    return f"{way} in {path.name}"


# --- the test ---


@pytest.fixture(scope="module")
def valid(tmp_path_factory) -> Callable[[str], Path]:
    """``valid(case)``: the folder with the valid input of a case, ``input``, and what it needs."""
    made: dict[str, Path] = {}

    def make(case: str) -> Path:
        if case not in made:
            made[case] = tmp_path_factory.mktemp("valid")
            CASES[case][0](made[case] / "input")
        return made[case]

    return make


numbers = count()


def was_meant(error: BaseException) -> bool:
    """Tell if a ``raise`` raised the error, not Python, whose words tell a user nothing."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None:
        return False
    line = linecache.getline(frame.tb_frame.f_code.co_filename, frame.tb_lineno)
    return line.strip().startswith("raise")


def run_case(case: str, seed: int, valid: Callable[[str], Path], tmp_path: Path) -> None:
    rng = random.Random(seed)
    folder = tmp_path / str(next(numbers))
    shutil.copytree(valid(case), folder)
    for _ in range(rng.choice((1, 1, 1, 2))):
        what = change_one_file(folder / "input", rng)
    try:
        CASES[case][1](folder / "input", folder / "output")
    except Exception as error:
        links = [link for link in cli.causes(error) if cli.is_user_error(link)]
        if not links or not was_meant(links[0]):
            raise AssertionError(f"{case}, seed {seed}: {what} is a traceback") from error
        sentence = cli.sentence(links[0])
        assert 10 < len(sentence) < LONGEST_SENTENCE, sentence
        sentence.encode()  # a terminal can show it
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("case", CASES)
def test_the_valid_input_passes(case, valid, tmp_path):
    shutil.copytree(valid(case), tmp_path / "copy")
    CASES[case][1](tmp_path / "copy/input", tmp_path / "output")


def fuzz(examples: int) -> settings:
    checks = list(HealthCheck)
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=checks,
    )


@pytest.mark.parametrize("case", CASES)
@fuzz(53)
@given(seed=st.integers(0, 10**9))
def test_a_changed_input_is_read_or_refused_in_a_sentence(case, valid, tmp_path, seed):
    run_case(case, seed, valid, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@fuzz(700)
@given(seed=st.integers(10**9, 10**10))
def test_many_changed_inputs(case, valid, tmp_path, seed):
    run_case(case, seed, valid, tmp_path)
