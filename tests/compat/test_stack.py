"""The rough edges of the stack, each broken on purpose."""

import importlib.util
import pkgutil
import subprocess
import sys
import types

import mmcv
import numpy as np
import pytest

from equikpt.compat import mmcv_ops, safe_load, stack
from tests.interpreters import run_python, write_package


def test_ready_twice_changes_nothing():
    from mmengine.runner.checkpoint import CheckpointLoader

    before = sys.modules[mmcv_ops.NAME], dict(CheckpointLoader._schemes)
    stack.ready()
    assert (sys.modules[mmcv_ops.NAME], dict(CheckpointLoader._schemes)) == before


@pytest.mark.slow
def test_fresh_process_imports_mmpose_and_still_knows_that_mmdet_is_missing():
    done = run_python(
        "import sys\n"
        "sys.modules['mmdet'] = None\n"  # as if it were not installed
        "import equikpt.compat\n"
        "import mmpose.models, mmpose.datasets, mmpose.codecs, mmpose.apis\n"
        "from mmpose.registry import MODELS\n"
        "assert 'RTMOHead' in MODELS.module_dict\n"
        "try:\n    import mmdet.utils\n"
        "except ImportError:\n    print('mmdet is missing')\n"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "mmdet is missing"


@pytest.fixture
def fake_mmdet(monkeypatch, tmp_path):
    """A writer of a package mmdet, in place of one that may be installed."""

    def loaded() -> list[str]:
        return [name for name in sys.modules if name.split(".")[0] in ("mmdet", "imgaug")]

    for name in loaded():
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)

    def write(source: str) -> None:
        write_package(tmp_path, "mmdet", source)
        (tmp_path / "mmdet/utils.py").write_text("")
        stack._import_mmdet()

    yield write
    for name in loaded():
        del sys.modules[name]


@pytest.mark.parametrize(
    ("condition", "loads"),
    [("tuple(map(int, mmcv.__version__.split('.'))) < (2, 2)", True), ("False", False)],
    ids=["an old mmcv alone, as mmdet 3.3.0", "never"],
)
def test_mmdet_that_asserts_something(fake_mmdet, monkeypatch, condition, loads):
    monkeypatch.setattr(mmcv, "__version__", "2.3.6")
    fake_mmdet(f"import mmcv\nassert {condition}")
    assert ("mmdet.utils" in sys.modules) is loads
    assert mmcv.__version__ == "2.3.6"


def test_mmdet_fork_does_not_need_imgaug_until_it_uses_it(fake_mmdet, monkeypatch, tmp_path):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "imgaug" else found(name)
    )
    lines = tmp_path / "mmdet/datasets/transforms/generate_line.py"
    lines.parent.mkdir(parents=True)
    lines.write_text(
        "import imgaug.augmenters as iaa\n"
        "from imgaug.augmentables.lines import LineString\n"
        "from imgaug.augmentables.segmaps import SegmentationMapsOnImage\n"
    )
    fake_mmdet("")
    generate_line = importlib.import_module("mmdet.datasets.transforms.generate_line")
    with pytest.raises(ImportError, match=r"imgaug for Sometimes.*found none: leave"):
        generate_line.iaa.Sometimes(p=0.5)
    assert not hasattr(sys.modules["imgaug"], "__version__")


def test_the_visualizer_of_mmpose_draws():
    """It takes ``int`` of an array of one number, an error from numpy 2.4 on."""
    from mmengine.structures import InstanceData
    from mmpose.structures import PoseDataSample
    from mmpose.visualization import PoseLocalVisualizer

    points = np.array([[[40.0, 20.0], [10.0, 10.0]]])
    visualizer = PoseLocalVisualizer(radius=2, kpt_color="red")
    sample = PoseDataSample(
        pred_instances=InstanceData(keypoints=points, keypoint_scores=np.ones((1, 2)))
    )
    image = np.zeros((50, 60, 3), np.uint8)
    shown = visualizer.add_datasample("", image, sample, draw_gt=False)
    assert shown[20, 40].any()
    assert not shown[40, 20].any()


class TestMmcvExt:
    @pytest.fixture(autouse=True)
    def _not_yet_provided(self, monkeypatch):
        monkeypatch.delitem(sys.modules, mmcv_ops.NAME)
        monkeypatch.delattr(mmcv, "_ext", raising=False)

    def test_absent_is_provided(self, monkeypatch):
        monkeypatch.setattr(mmcv, "__path__", [])
        stack.provide_mmcv_ext()
        assert mmcv_ops.is_stand_in(sys.modules[mmcv_ops.NAME])
        assert mmcv._ext is sys.modules[mmcv_ops.NAME]

    @pytest.mark.parametrize("is_imported", [True, False], ids=["imported", "installed"])
    def test_a_compiled_one_is_not_replaced(self, monkeypatch, tmp_path, is_imported):
        (tmp_path / "_ext.py").write_text("COMPILED = True")
        monkeypatch.setattr(mmcv, "__path__", [str(tmp_path)])
        if is_imported:
            compiled = types.ModuleType(mmcv_ops.NAME)
            compiled.COMPILED = False
            monkeypatch.setitem(sys.modules, mmcv_ops.NAME, compiled)
        stack.provide_mmcv_ext()
        assert sys.modules[mmcv_ops.NAME].COMPILED is not is_imported

    def test_installed_for_another_torch_is_not_covered_up(self, monkeypatch, tmp_path):
        (tmp_path / "_ext.py").write_text("raise ImportError('undefined symbol: _ZN3c10')")
        monkeypatch.setattr(mmcv, "__path__", [str(tmp_path)])
        with pytest.raises(ImportError, match=r"setup\.sh"):
            stack.provide_mmcv_ext()
        assert mmcv_ops.NAME not in sys.modules


@pytest.mark.parametrize("is_dropped", [True, False])
def test_find_loader_is_restored_where_python_dropped_it(monkeypatch, is_dropped):
    original = object()
    monkeypatch.setattr(pkgutil, "find_loader", original, raising=False)
    if is_dropped:
        monkeypatch.delattr(pkgutil, "find_loader")
    stack._restore_find_loader()
    if not is_dropped:
        assert pkgutil.find_loader is original
        return
    assert pkgutil.find_loader("json") is not None
    assert pkgutil.find_loader("no_such_module") is None
    monkeypatch.delattr(pkgutil, "find_loader")


def test_mmengine_loads_files_through_the_safe_loader():
    from mmengine.runner.checkpoint import CheckpointLoader

    assert CheckpointLoader._get_checkpoint_loader("/a/b.pth") is safe_load.load_from_local


@pytest.fixture
def yapf_cache(tmp_path, monkeypatch):
    """The cache that yapf writes at its first import, in a folder of this test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert run_python("import yapf").returncode == 0
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    if not files:
        pytest.skip("this yapf keeps its cache elsewhere")
    return files


@pytest.mark.slow
def test_half_of_yapfs_cache_is_waited_out(yapf_cache):
    whole = {path: path.read_bytes() for path in yapf_cache}
    for path, content in whole.items():
        path.write_bytes(content[: len(content) // 2])
    assert run_python("import yapf").returncode != 0  # the control: without waiting it fails
    code = "from equikpt.compat import stack; stack._import_yapf(); print('imported')"
    waiting = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(timeout=3)
    for path, content in whole.items():
        path.write_bytes(content)
    assert waiting.communicate(timeout=60)[0].strip() == "imported"


@pytest.mark.slow
def test_a_cache_that_stays_damaged_is_named(yapf_cache):
    for path in yapf_cache:
        path.write_bytes(b"")
    done = run_python(
        "from equikpt.compat import stack; stack._import_yapf(attempts=2, wait_s=0.01)"
    )
    assert "ImportError" in done.stderr
    assert "delete its folder YAPF" in done.stderr


def test_early_stopping_asks_for_the_training_loop_in_training_alone():
    from mmengine.hooks import EarlyStoppingHook

    class Runner:
        @property
        def train_loop(self):
            raise RuntimeError("built")

    hook = EarlyStoppingHook(monitor="coco/AP", rule="greater")
    hook.before_run(Runner())
    hook.before_test(Runner())
    with pytest.raises(RuntimeError, match="built"):
        hook.before_train(Runner())
