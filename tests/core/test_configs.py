"""Configs by name, in the layout of a checkout and in that of an installed wheel."""

import json
from pathlib import Path

import pytest

from equikpt.core import configs as config_files
from equikpt.core.configs import (
    find_config,
    import_modules,
    list_configs,
    nearest,
    read_config,
    shipped_folder,
    strip_pretrained_init,
)

NAMES = ["_base_/runtime", "rtmpose_m_ap10k", "hrnet_w32_ap10k", "smoke/rtmpose_t_horse26"]


def lay_out(folder: Path, layout: str) -> Path:
    """Empty files as a checkout or a wheel has them; returns the folder of the configs."""
    package = folder / "equikpt"
    configs = {"checkout": folder / "configs", "wheel": package / ".mim" / "configs"}[layout]
    for name in NAMES:
        file = configs / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    package.mkdir(exist_ok=True)
    if layout == "checkout":
        (folder / "setup.py").touch()
    return configs


@pytest.fixture(params=["checkout", "wheel"])
def configs(request, tmp_path, monkeypatch) -> Path:
    folder = lay_out(tmp_path / "place", request.param)
    monkeypatch.setattr(config_files, "PACKAGE", tmp_path / "place" / "equikpt")
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    return folder


def test_lists_what_can_be_run(configs):
    assert list_configs() == ["hrnet_w32_ap10k", "rtmpose_m_ap10k", "smoke/rtmpose_t_horse26"]


@pytest.mark.parametrize(
    "name",
    [
        "rtmpose_m_ap10k",
        "rtmpose_m_ap10k.py",
        "configs/rtmpose_m_ap10k.py",
        "smoke/rtmpose_t_horse26",
    ],
)
def test_finds_by_name(configs, name):
    bare = name.removeprefix("configs/").removesuffix(".py")
    assert find_config(name) == configs / f"{bare}.py"


def test_a_file_that_exists_wins(configs):
    mine = Path("rtmpose_m_ap10k.py")
    mine.touch()
    assert find_config("rtmpose_m_ap10k.py") == mine
    assert find_config(mine.resolve()) == mine.resolve()
    assert find_config("rtmpose_m_ap10k") == configs / "rtmpose_m_ap10k.py"


def test_a_folder_is_not_a_config(configs):
    Path("smoke").mkdir()
    with pytest.raises(FileNotFoundError):
        find_config("smoke")


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("rtmpose_m_ap01k", "did you mean rtmpose_m_ap10k"),
        ("rtmpose_t_horse", "did you mean smoke/rtmpose_t_horse26"),
        ("xyz", "known names: hrnet_w32_ap10k, rtmpose_m_ap10k, smoke/rtmpose_t_horse26"),
        ("../configs/rtmpose_m_ap10k", "rtmpose_m_ap10k"),
    ],
)
def test_unknown_names_are_answered_with_near_ones(configs, name, suggestion):
    with pytest.raises(FileNotFoundError) as caught:
        find_config(name)
    assert repr(name) in str(caught.value)
    assert suggestion in str(caught.value)


def test_the_wheels_own_configs_come_before_a_neighbours(tmp_path, monkeypatch):
    own = lay_out(tmp_path, "wheel")
    lay_out(tmp_path, "checkout")
    monkeypatch.setattr(config_files, "PACKAGE", tmp_path / "equikpt")
    assert shipped_folder("configs") == own


def test_a_neighbour_in_site_packages_is_not_ours(tmp_path, monkeypatch):
    (tmp_path / "tools").mkdir()  # anybody's
    (tmp_path / "equikpt").mkdir()
    monkeypatch.setattr(config_files, "PACKAGE", tmp_path / "equikpt")
    with pytest.raises(FileNotFoundError):
        shipped_folder("tools")


def test_every_config_of_this_checkout_is_found():
    assert {find_config(name).suffix for name in list_configs()} == {".py"}


def test_nearest():
    assert nearest("trainn", ["train", "test"]) == "did you mean train?"
    assert nearest("tran", ["smoke/train", "test"]) == "did you mean smoke/train?"
    assert nearest("xyz", ["train", "test"]) == "known names: train, test"
    assert nearest("xyz", [f"name{i}" for i in range(99)]).startswith("none of the 99 known names")


def test_first_weights_are_forgotten_and_nothing_else():
    model = dict(
        backbone=dict(weights="package", init_cfg=dict(type="Pretrained", checkpoint="x"), depth=3),
        head=dict(loss=1),
    )
    strip_pretrained_init(model)
    assert model == dict(backbone=dict(weights=None, depth=3), head=dict(loss=1))
    drawn = dict(backbone=dict(init_cfg=dict(type="Kaiming")))
    strip_pretrained_init(drawn)
    assert drawn == dict(backbone=dict(init_cfg=dict(type="Kaiming")))
    both = dict(backbone=dict(init_cfg=[dict(type="Pretrained", checkpoint="x"), dict(type="A")]))
    strip_pretrained_init(both)
    assert both == dict(backbone=dict(init_cfg=[dict(type="A")]))
    strip_pretrained_init(dict(head=dict()))


SMOKE = find_config("smoke/rtmpose_m_ap10k")


BASE = f"_base_ = {str(SMOKE)!r}\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BASE + "model = dict(head=dict(", "was never closed"),
        (BASE + "x = nothing", "NameError: name 'nothing' is not defined"),
        (BASE + "x = 1 / 0", "ZeroDivisionError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("_base_ = 'gone.py'", "mine.py at"),
        ("_base_ = 'mine.py'", "inherits from itself"),
        ("_base_ = 'other.py'", "without a circle"),
        ("_base_ = 5", "TypeError"),
        ("\udcff\udcfe", "UnicodeDecodeError"),
    ],
    ids=["bracket", "name", "division", "exit", "gone", "itself", "circle", "base", "bytes"],
)
def test_a_config_that_cannot_be_read_is_one_sentence(tmp_path, content, message):
    (tmp_path / "other.py").write_text("_base_ = 'mine.py'")
    path = tmp_path / "mine.py"
    path.write_text(content, errors="surrogateescape")
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        read_config(path)
    assert message in str(caught.value)
    assert "mine.py" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [("x.json", "[1, 2]"), ("x.json", '{"a": '), ("x.yaml", "a: [1"), ("x.pth", "\x80\x02}")],
)
def test_other_files_that_are_no_config(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match="expected a config file that can be read"):
        read_config(tmp_path / name)


def test_a_config_may_be_json(tmp_path):
    path = tmp_path / "mine.json"
    content = dict(_base_=str(SMOKE), train_dataloader=dict(batch_size=3))
    path.write_text(json.dumps(content))
    assert read_config(path).train_dataloader.batch_size == 3


def test_a_module_that_is_missing_is_named(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(BASE + "custom_imports = dict(imports=['nothing.there'])")
    with pytest.raises(ImportError, match=r"nothing\.there"):
        import_modules(read_config(path))
