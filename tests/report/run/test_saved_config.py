"""Saved configs are read, not run, and say as data what MMEngine reads from them as programs."""

import math

import pytest
from mmengine.config import Config

import equikpt.register  # noqa: F401 - what is registered is known
from equikpt.cli.launch import load_config
from equikpt.report.run.run_folder import read_run
from equikpt.report.run.saved_config import code_in, read_saved_config
from tests.report.written_runs import config, write_start


@pytest.mark.parametrize(
    "name",
    [
        "experimental/rtmpose_m_ap10k_phases",
        "td-hm_efficientnet-lite0_p1p2-512x512",
        "experimental/sequential_efficientnet-lite0_horse26-256x256",
    ],
)
def test_a_saved_config_is_what_running_it_gives(name, tmp_path):
    path = tmp_path / "saved.py"
    cfg = load_config(name)
    cfg._format_python_code = False  # its layout, which takes seconds
    cfg.dump(path)
    read, left_out = read_saved_config(path)
    assert left_out == ()
    assert read.to_dict() == Config.fromfile(path).to_dict()
    assert code_in(read) == []


def test_values_of_every_kind(tmp_path):
    values = dict(a=-1.5e-3, b=[(1, 2), dict(type="X")], c={"x y": None, 3: True}, d={1, 2},
                  e=math.inf, f="it's \n", g=dict(h=()), i=-math.inf)  # fmt: skip
    path = tmp_path / "saved.py"
    Config(values).dump(path)
    read, left_out = read_saved_config(path)
    assert (read.to_dict(), left_out) == (values, ())


PROGRAMS = [
    pytest.param("import os", "line 2", id="import"),
    pytest.param("open({mark!r}, 'w')", "line 2", id="call"),
    pytest.param("b = open({mark!r}, 'w')", "b", id="value"),
    pytest.param("b = dict(**dict(c=1))", "b", id="unpacked"),
    pytest.param("b = [x for x in (1,)]", "b", id="comprehension"),
    pytest.param("b = dict(type=int)", "b", id="class"),
    pytest.param("b = {{[]: 1}}", "b", id="key"),
    pytest.param("train_cfg = 5", "train_cfg", id="section"),
    pytest.param("_base_ = {mark!r}", "_base_", id="base"),
    pytest.param("def f():\n    open({mark!r}, 'w')", "line 2", id="function"),
]


@pytest.mark.parametrize(("line", "left_out"), PROGRAMS)
def test_what_is_no_plain_value_is_left_out_and_not_run(line, left_out, tmp_path):
    mark, path = tmp_path / "ran", tmp_path / "saved.py"
    path.write_text("a = 1\n" + line.format(mark=str(mark)) + "\nc = dict(d='e')\n")
    read, gaps = read_saved_config(path)
    assert read.to_dict() == dict(a=1, c=dict(d="e"))
    assert gaps == (left_out,)
    assert not mark.exists()


@pytest.mark.parametrize("content", [b"a = (1", b"a = 1\0", b"\xff = 1", b"(" * 100_000])
def test_half_a_file_is_no_config(content, tmp_path):
    (tmp_path / "saved.py").write_bytes(content)
    with pytest.raises(ValueError, match="cannot be parsed"):
        read_saved_config(tmp_path / "saved.py")


CODE = [
    pytest.param(dict(a=dict(type="os.system", command="x")), "a.type", id="type"),
    pytest.param(dict(a=[dict(b=[dict(type="this")])]), "a.0.b.0.type", id="module"),
    pytest.param(dict(a=[dict(ema_type="subprocess.run")]), "a.0.ema_type", id="other type"),
    pytest.param(dict(custom_imports=dict(imports=["equikpt.register", "mine"])),
                 "custom_imports.imports", id="import"),
    pytest.param(dict(d=dict(metainfo=dict(from_file="a/mine.py"))), "d.metainfo.from_file",
                 id="metainfo"),
    pytest.param(dict(d=dict(ann_file="a.PKL")), "d.ann_file", id="pickle"),
    pytest.param(dict(a=dict(_scope_="mine")), "a._scope_", id="scope"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "key"), CODE)
def test_code_that_data_name_is_found(values, key):
    assert [each.split(":")[0] for each in code_in(Config(values))] == [key]


def test_what_mmpose_registers_is_no_code():
    values = dict(a=dict(type="mmpose.TopdownPoseEstimator"), b=dict(type="GaussianBlur", p=0.5))
    assert code_in(Config(values)) == []


def test_reading_a_run_runs_nothing(tmp_path):
    start = write_start(tmp_path / "run", [1.0, 0.5], cfg=config(7))
    mark = tmp_path / "ran"
    for path in (start / "vis_data" / "config.py", tmp_path / "run" / "mine.py"):
        with path.open("a") as file:
            file.write(f"\nopen({str(mark)!r}, 'w')\n")
    run = read_run(tmp_path / "run")
    assert run.config.train_cfg.max_epochs == 7
    assert len(run.config_gaps) == 1
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "is_code"),
    [
        ("dataset_info = dict(keypoint_info={0: dict(name='a', id=0)}, sigmas=[0.1])", False),
        ("import os\ndataset_info = dict()", True),
        ("_base_ = 'program.py'", True),
        (None, True),
    ],
    ids=["plain values", "a program", "inherited", "none"],
)
def test_a_keypoint_set_of_plain_values_is_no_code(tmp_path, content, is_code):
    path = tmp_path / "keypoints.py"
    if content is not None:
        path.write_text(content)
    cfg = Config(dict(metainfo=dict(from_file=str(path))))
    assert bool(code_in(cfg)) is is_code


def test_a_project_that_was_moved_has_its_paths_where_it_is(tmp_path):
    old, new = tmp_path / "mice", tmp_path / "moved" / "mice"
    paths = dict(a=f"{old}/data", b=[dict(from_file=f"{old}/keypoints.py")], c=f"{old}s/data")
    cfg = config(work_dir=f"{old}/work_dir", **paths)
    write_start(old / "work_dir", [1.0], cfg=cfg)
    assert read_run(old / "work_dir").config.a == paths["a"]
    new.parent.mkdir()
    old.rename(new)
    moved = read_run(new / "work_dir").config
    assert (moved.a, moved.b[0].from_file) == (f"{new}/data", f"{new}/keypoints.py")
    assert moved.c == paths["c"]


def test_a_run_that_is_no_project_keeps_its_paths(tmp_path):
    cfg = config(work_dir="/gone/run", a="/gone/data")
    write_start(tmp_path / "run", [1.0], cfg=cfg)
    assert read_run(tmp_path / "run").config.a == "/gone/data"
