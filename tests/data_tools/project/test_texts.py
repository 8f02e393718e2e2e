from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from mmengine.config import Config

import equikpt.register  # noqa: F401
from equikpt import config_file
from equikpt.config_checks.keys import check_config
from equikpt.core.configs import read_config
from equikpt.data_tools.project.recipe import WEIGHTS, DataFacts, MachineFacts, recommend
from equikpt.data_tools.project.texts import config_text

DATA = DataFacts(5, {"train": 60, "val": 9}, 300.0, 1.7)
MACHINE = MachineFacts(2, 2**34)


@pytest.mark.parametrize("gpu", ["", "a GPU"])
@pytest.mark.parametrize("minutes", [1, 60])
@pytest.mark.parametrize(("instances", "aspect"), [(60, 1.0), (50_000, 1.7)])
def test_a_config_inherits_wherever_it_lies(tmp_path, gpu, minutes, instances, aspect):
    data = DataFacts(5, {"train": instances, "val": 9}, 300.0, aspect)
    machine = MachineFacts(2, 2**34, gpu)
    recipe = recommend(data, machine, minutes, WEIGHTS.values())
    (tmp_path / "a").mkdir()
    text = config_text("cat", 5, recipe)
    (tmp_path / "a/config.py").write_text(text)
    shutil.move(tmp_path / "a", tmp_path / "b")
    cfg = Config.fromfile(tmp_path / "b/config.py", import_custom_modules=False)
    assert cfg.to_dict() == read_config(tmp_path / "b/config.py").to_dict()
    assert cfg.work_dir == str(tmp_path / "b/work_dir")
    assert cfg.model.head.out_channels == 5
    assert cfg.train_cfg.max_epochs == recipe.epochs == cfg.param_scheduler[-1].end
    assert cfg.train_dataloader.sampler.get("max_samples") == recipe.samples
    for split in ("train", "val", "test"):
        dataset = cfg[f"{split}_dataloader"].dataset
        assert dataset.type == "KeypointDataset"
        assert dataset.metainfo.from_file == str(tmp_path / "b/keypoints.py")
        assert dataset.data_root == f"{tmp_path}/b/data/"
        trains = split == "train"
        assert trains or dataset.codec == cfg.model.head.decoder
        assert dataset.codec.input_size == (recipe.input_size if trains else recipe.test_size)
    pipeline = cfg.train_dataloader.dataset.pipeline
    assert pipeline == (cfg.mild_pipeline if recipe.mild else cfg.train_pipeline)
    check_config(cfg)
    if recipe.weights:
        assert cfg.model.backbone.init_cfg.checkpoint == f"zoo://{recipe.weights}"
    assert max(map(len, text.splitlines())) <= 100
    assert len(text.splitlines()) < 40


def test_a_config_resolves_where_nothing_imported_the_package(tmp_path):
    text = config_text("cat", 5, recommend(DATA, MACHINE, 20))
    (tmp_path / "config.py").write_text(text)
    read = "Config.fromfile('config.py', import_custom_modules=False)"
    code = f"from mmengine.config import Config; {read}"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)


def test_a_config_of_no_name_is_refused():
    assert config_file("rtmpose_m_ap10k").endswith("rtmpose_m_ap10k.py")
    with pytest.raises(FileNotFoundError, match="rtmpose_m_ap10k"):
        config_file("rtmpose_m_ap10")


def test_a_config_names_the_group_for_radii_and_intervals(tmp_path):
    recipe = recommend(DATA, MACHINE, 20)
    for name, key in (("plain", ""), ("grouped", "group")):
        (tmp_path / f"{name}.py").write_text(config_text("cat", 5, recipe, key))
    plain, grouped = (read_config(tmp_path / f"{name}.py") for name in ("plain", "grouped"))
    for split in ("val", "test"):
        types, keys = (
            [each.get(name) for each in grouped[f"{split}_evaluator"]]
            for name in ("type", "group_key")
        )
        assert types == [each.type for each in plain[f"{split}_evaluator"]]
        assert keys == [
            {"CocoMetric": None, "VisibilityMetric": None}.get(t, "group") for t in types
        ]
