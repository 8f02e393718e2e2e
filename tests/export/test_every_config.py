"""Every shipped top-down model, with random weights, as a file that equals it."""

import numpy as np
import pytest

from equikpt.apis import Predictor
from equikpt.config_checks.options import load_config
from equikpt.core.configs import strip_pretrained_init
from equikpt.export import export_model
from equikpt_runtime import Model
from equikpt_runtime.metadata import Description
from tests.conftest import REPO
from tests.export.conftest import write_checkpoint

CONFIGS = sorted(
    path.relative_to(REPO / "configs").with_suffix("").as_posix()
    for folder in ("", "experimental", "smoke")
    for path in (REPO / "configs" / folder).glob("*.py")
    if not path.stem.startswith(("sequential", "hm_"))
)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_a_shipped_model_can_be_exported(
    name, sample_data, sample_radiographs, tmp_path, monkeypatch
):
    monkeypatch.setattr("equikpt.export.model.MAX_PX", np.inf)
    cfg = load_config(name)
    strip_pretrained_init(cfg.model)
    checkpoint = write_checkpoint(cfg, tmp_path / "random.pth", records=False)
    data = sample_radiographs if "p1p2" in name else sample_data
    images = next(path.parent for path in sorted((data / "images").rglob("*")) if path.is_file())
    options = dict(images=images, image_count=4)
    try:
        exported = export_model(cfg, tmp_path / "model.onnx", checkpoint, **options)
        # random weights have flat maps, where another of two cells may be the highest
        assert exported.metadata.parity["mean_px"] <= 0.3
    except ValueError as error:  # and whose keypoints may all lie beyond the crop
        if "keypoints that the model finds" not in str(error):
            raise
        exported = export_model(cfg, tmp_path / "model.onnx", checkpoint, parity=False)
        path = next(each for each in sorted(images.iterdir()) if each.is_file())
        (ours,) = Predictor(cfg, checkpoint, "cpu", refuse=False)(path)
        (found,) = Model(exported.path, refuse=False)(path)
        np.testing.assert_allclose(found.scores, ours.scores, atol=1e-3)
    assert Description.read(exported.path).plain["name"] == exported.metadata.name


def test_the_list_has_every_family():
    assert {name.rpartition("/")[2].split("_")[0] for name in CONFIGS} == {
        "hrnet",
        "rtmpose",
        "td-hm",
    }
