"""Fixtures that every test may use."""

import gc
import os
import shutil
import subprocess
import sys
from importlib.metadata import Distribution
from importlib.util import find_spec
from pathlib import Path

import pytest

import equikpt.compat  # noqa: F401 - before tests import MMPose's models

pytest_plugins = ["tests.coco_fixtures"]

REPO = Path(__file__).resolve().parent.parent


def pytest_report_header() -> list[str]:
    """Which OpenMMLab the tests meet: the official wheels, laid on top, must come first."""
    lines = []
    for module in ("mmengine", "mmcv"):
        place = Path(find_spec(module).origin).parent.parent
        for name in (module, f"{module}-lite", f"onedl-{module}"):
            for found in Distribution.discover(name=name, path=[str(place)]):
                lines.append(f"{module}: {name} {found.version} in {place}")
    return lines


def pytest_collection_finish() -> None:
    """Leave what was imported out of collections: MMEngine makes one for each dataset, 0.4 s."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _fresh_mmengine():
    """MMEngine keeps loggers, hubs and scopes in globals: start and leave each test without."""
    _clear_mmengine()
    yield
    _clear_mmengine()


def _clear_mmengine() -> None:
    if "mmengine" not in sys.modules:
        return
    import logging

    from mmengine.logging import MessageHub, MMLogger
    from mmengine.registry import DefaultScope
    from mmengine.visualization import Visualizer

    logging.shutdown()
    managers = [MMLogger, MessageHub, DefaultScope, Visualizer]
    while managers:  # each class has instances of its own, PoseLocalVisualizer too
        manager = managers.pop()
        manager._instance_dict.clear()
        managers += manager.__subclasses__()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real labelled images (``EQUIKPT_REAL_DATA``); the test is skipped without it."""
    if not os.environ.get("EQUIKPT_REAL_DATA"):
        pytest.skip("EQUIKPT_REAL_DATA names no folder of real images")
    return Path(os.environ["EQUIKPT_REAL_DATA"])


@pytest.fixture(scope="session")
def run_tool():
    """Call ``run_tool("train.py", *arguments, env={}, cwd=None)``: the finished process."""

    def run(tool: str, *arguments, env=None, cwd=None, timeout=600):
        return subprocess.run(
            [sys.executable, str(REPO / "tools" / tool), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=cwd or REPO,
            env={**os.environ, **(env or {})},
        )

    return run


@pytest.fixture(scope="session")
def sample_data(tmp_path_factory) -> Path:
    """Folder with a few drawn horses: 12 to train on, 6 to validate and 4 to test on."""
    folder = tmp_path_factory.mktemp("sample") / "data"
    return shutil.copytree(REPO / "tests" / "sample_horses", folder)


@pytest.fixture(scope="session")
def sample_radiographs(tmp_path_factory) -> Path:
    """Folder with drawn radiographs, as Label Studio exports them: 12 to train on, 6 to validate.

    A bright ladder on a dark ground, of which p1 is the lower and p2 the upper end: enough to see
    a pipeline run, no likeness of a cephalogram.
    """
    import json

    import cv2
    import numpy as np

    folder = tmp_path_factory.mktemp("films")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 6)):
        tasks = []
        for number in range(count):
            radiograph = rng.normal(60, 8, (250, 200)).clip(0, 255).astype(np.uint8)
            x, top = rng.uniform((120, 30), (180, 90))
            for tick in range(9):
                start, y = (round(x), round(top + tick * 5)), round(top + tick * 5)
                cv2.line(radiograph, start, (round(x) + 8, y), 230, 1)
            cv2.line(radiograph, (round(x), round(top)), (round(x), round(top + 40)), 230, 1)
            name = f"{split}_{number}.png"
            cv2.imwrite(str(folder / "images" / name), radiograph)
            tasks.append(_ruler_task(name, number, (x / 2, (top + 40) / 2.5), (x / 2, top / 2.5)))
        (folder / f"annotations_p1_p2_{split}.json").write_text(json.dumps(tasks))
    return folder


@pytest.fixture(scope="session")
def sample_people(tmp_path_factory) -> Path:
    """Folder in COCO's layout with drawn stick figures: 8 images to train on, 4 to validate.

    One to three people an image, one without labelled keypoints, and one crowd: enough to see a
    pipeline run.
    """
    import json

    import cv2
    import numpy as np

    folder = tmp_path_factory.mktemp("people")
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 4)):
        (folder / f"{split}2017").mkdir()
        images, annotations = [], []
        for number in range(1, count + 1):
            image = rng.integers(60, 90, (150, 200, 3)).astype(np.uint8)
            for column in range(int(rng.integers(1, 4))):
                points = rng.uniform((10, 20), (50, 130), (17, 2)) + (60 * column, 0)
                for x, y in points.round().astype(int).tolist():
                    cv2.circle(image, (x, y), 3, (230, 230, 230), -1)
                annotations.append(_person(len(annotations) + 1, number, points))
            images.append(dict(id=number, file_name=f"{number}.png", width=200, height=150))
            cv2.imwrite(str(folder / f"{split}2017" / f"{number}.png"), image)
        unlabelled = _person(len(annotations) + 1, 1, np.array([[150.0, 20], [190, 60]]), labels=0)
        crowd = _person(len(annotations) + 2, 2, np.array([[0.0, 0], [199, 9]]), labels=0)
        # the upper left corner, 20 columns of 30 px, as uncompressed run lengths
        counts = [0, *[30, 120] * 19, 30, 120 + 150 * 180]
        crowd |= dict(iscrowd=1, segmentation=dict(size=[150, 200], counts=counts))
        content = dict(
            images=images,
            annotations=[*annotations, unlabelled, crowd],
            categories=[dict(id=1, name="person")],
        )
        (folder / "annotations").mkdir(exist_ok=True)
        path = folder / "annotations" / f"person_keypoints_{split}2017.json"
        path.write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="session")
def sample_points(tmp_path_factory) -> Path:
    """Folder in FSC-147's layout with drawn dots: 8 images to train on, 4 each for the rest."""
    import json

    import cv2
    import numpy as np

    folder = tmp_path_factory.mktemp("points")
    (folder / "images_384_VarV2").mkdir()
    rng = np.random.default_rng(0)
    records: dict[str, dict] = {}
    splits: dict[str, list[str]] = {}
    for split, count in (("train", 8), ("val", 4), ("test", 4)):
        splits[split] = [f"{split}_{number}.png" for number in range(count)]
        for name in splits[split]:
            image = rng.integers(60, 90, (150, 200, 3)).astype(np.uint8)
            points = rng.uniform((10, 10), (190, 140), (int(rng.integers(1, 6)), 2))
            for x, y in points.round().astype(int).tolist():
                cv2.circle(image, (x, y), 6, (230, 230, 230), -1)
            cv2.imwrite(str(folder / "images_384_VarV2" / name), image)
            records[name] = dict(H=300, W=400, points=points.tolist())
    (folder / "annotation_FSC147_384.json").write_text(json.dumps(records))
    (folder / "Train_Test_Val_FSC_147.json").write_text(json.dumps(splits))
    return folder


def _person(number: int, image: int, points, labels: int = 17) -> dict:
    """An annotation whose box and outline go around ``points`` (N, 2)."""
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    keypoints = [value for x, y in points[:labels].tolist() for value in (x, y, 2)]
    return dict(
        id=number, image_id=image, category_id=1, iscrowd=0, num_keypoints=labels,
        keypoints=keypoints + [0] * (51 - len(keypoints)),
        bbox=[left, top, right - left, bottom - top], area=(right - left) * (bottom - top) / 2,
        segmentation=[[left, top, right, top, right, bottom, left, bottom]],
    )  # fmt: skip


def _ruler_task(name: str, number: int, p1: tuple, p2: tuple) -> dict:
    """One task of an export; points in percent of the radiograph."""
    marks = [
        dict(type="keypointlabels", value=dict(x=x, y=y, width=1.0, keypointlabels=[mark]))
        for mark, (x, y) in (("p1", p1), ("p2", p2))
    ]
    image = f"/data/upload/{name}"
    return dict(id=number, data=dict(image=image), annotations=[dict(result=marks)])
