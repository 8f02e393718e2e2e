"""Checkpoints: MMEngine's own load whole, and none runs code, whichever way it is loaded."""

import os
import pickle
import shutil
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.model.weight_init import PretrainedInit
from mmengine.runner import Runner, checkpoint, load_checkpoint
from mmpose.apis import init_model
from torch import nn

from equikpt.compat import safe_load
from tests.integration.resumable import Points, Toy, build, config


def runner_of(folder: Path, epochs: int = 2, **options) -> Runner:
    """A runner with all that goes into a checkpoint: EMA, two schedulers, a plateau, clipping."""
    schedulers = [
        dict(type="LinearLR", start_factor=0.1, by_epoch=False, end=2),
        dict(type="CosineAnnealingLR", T_max=3, end=3, convert_to_iter_based=True),
        dict(type="ReduceOnPlateauLR", monitor="mean", end=3),
    ]
    options |= {
        "train_cfg.max_epochs": epochs,
        "optim_wrapper.optimizer.lr": np.float64(0.01),  # as a computed rate is
        "optim_wrapper.clip_grad": dict(max_norm=1.0),
        "default_hooks.logger.interval": 1,
    }
    return build(config(folder, schedulers, **options))


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The checkpoint of two epochs."""
    folder = tmp_path_factory.mktemp("trained")
    runner_of(folder).train()
    return folder / "epoch_2.pth"


@pytest.fixture(autouse=True)
def loads(monkeypatch) -> Iterator[list[bool]]:
    """For every ``torch.load``, whether it was a safe one as torch itself decides it."""
    safe = []
    unsafe_unpickler = torch.serialization.pickle.Unpickler

    class Recorded(unsafe_unpickler):
        def __init__(self, *args, **kwargs):
            safe.append(False)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(torch.serialization.pickle, "Unpickler", Recorded)
    yield safe
    safe_load.allow_mmengine_classes()  # some tests clear torch's list, which all tests fraction


class TestOwnCheckpoint:
    def test_holds_more_than_torch_allows(self, trained):
        # else the rest of this class would show nothing
        torch.serialization.clear_safe_globals()
        with pytest.raises(pickle.UnpicklingError):
            torch.load(trained, weights_only=True)

    def test_holds_nothing_that_is_not_on_the_list(self, trained):
        unsafe = torch.serialization.get_unsafe_globals_in_checkpoint
        torch.serialization.clear_safe_globals()
        assert {"mmengine.logging.history_buffer.HistoryBuffer", "builtins.getattr"} <= set(
            unsafe(trained)
        )
        safe_load.allow_mmengine_classes()
        assert unsafe(trained) == []

    def test_resumes_whole(self, trained, tmp_path):
        torch.serialization.clear_safe_globals()  # as the fork's own loader leaves the list
        saved = torch.load(trained, weights_only=False)
        runner = runner_of(tmp_path, 3, load_from=str(trained), resume=True)
        runner.train()
        assert runner.iter == 6
        history, _ = runner.message_hub.get_scalar("train/loss").data
        old, _ = saved["message_hub"]["log_scalars"]["train/loss"].data
        assert len(history) == 6
        np.testing.assert_array_equal(history[:4], old)
        assert history.dtype == np.float64

    def test_loads_without_the_ordinary_unpickler(self, trained, loads):
        loaded = safe_load.load_from_local(str(trained), "cpu")
        assert loads == []
        assert set(loaded) >= {"meta", "state_dict", "message_hub", "optimizer", "ema_state_dict"}
        assert loaded["optimizer"]["param_groups"][0]["initial_lr"] == 0.01
        np.testing.assert_array_equal(
            loaded["meta"]["dataset_meta"]["sigmas"], Points.metainfo["sigmas"]
        )
        buffer = loaded["message_hub"]["log_scalars"]["train/loss"]
        assert buffer.statistics("mean") == pytest.approx(buffer.data[0].mean())

    def test_another_run_starts_from_the_averaged_weights(self, trained, tmp_path):
        runner = runner_of(tmp_path, load_from=str(trained))
        runner.call_hook("before_run")
        runner.load_or_resume()
        averaged = torch.load(trained, weights_only=False)["state_dict"]
        torch.testing.assert_close(runner.model.state_dict(), averaged)

    @pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
    def test_of_either_numpy(self, tmp_path, module):
        path = tmp_path / "other_numpy.pth"
        content = {"array": np.arange(3.0), "scalar": np.float32(2.5), "flag": np.bool_(True)}
        # the older format, in which a name is plain text and may change its length
        torch.save(content, path, _use_new_zipfile_serialization=False)
        old = b"numpy._core.multiarray" if hasattr(np, "_core") else b"numpy.core.multiarray"
        path.write_bytes(path.read_bytes().replace(old, module))
        loaded = safe_load.load_from_local(str(path))
        assert loaded["array"].tolist() == [0, 1, 2]
        assert (loaded["scalar"], bool(loaded["flag"])) == (2.5, True)

    @pytest.mark.parametrize("shape", [(2,), (0, 3)], ids=["filled", "empty"])
    @pytest.mark.parametrize(
        "dtype", ["float16", "float32", "float64", "int32", "int64", "uint8", "bool", "str"]
    )
    def test_with_arrays_of_any_plain_kind(self, tmp_path, dtype, shape):
        array = np.ones(shape).astype(dtype)
        torch.save({"array": array}, tmp_path / "a.pth")
        loaded = safe_load.load_from_local(str(tmp_path / "a.pth"))["array"]
        np.testing.assert_array_equal(loaded, array)
        assert (loaded.shape, loaded.dtype) == (shape, array.dtype)


class Payload:
    """Pickled as a call: whoever unpickles it plainly makes that call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.fixture
def marker(tmp_path) -> Path:
    return tmp_path / "the_code_ran"


@pytest.fixture(params=["system", "eval", "open", "getattr"])
def malicious(request, tmp_path, marker) -> Path:
    """A checkpoint with weights and a call that would create ``marker``."""
    payloads = {
        "system": Payload(os.system, f"touch {marker}"),
        "eval": Payload(eval, f"open({str(marker)!r}, 'w')"),
        "open": Payload(open, str(marker), "w"),
        # getattr is on MMEngine's own list: it must not reach past HistoryBuffer
        "getattr": Payload(getattr, Payload(open, str(marker), "w"), "close"),
    }
    path = tmp_path / "malicious.pth"
    torch.save({"state_dict": Toy().state_dict(), "meta": {"note": payloads[request.param]}}, path)
    return path


def init_pose_model(path: Path, folder: Path):
    head = dict(
        type="HeatmapHead", in_channels=1024, out_channels=2, loss=dict(type="KeypointMSELoss")
    )
    backbone = dict(type="ShuffleNetV2", widen_factor=0.5)
    model = dict(type="TopdownPoseEstimator", backbone=backbone, head=head)
    return init_model(Config({"model": model}), str(path), device="cpu")


def copy_instead_of_download(monkeypatch, path: Path, folder: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(folder))
    monkeypatch.setattr(
        torch.hub, "download_url_to_file", lambda url, target, *_, **__: shutil.copy(path, target)
    )


ENTRY_POINTS = {
    "loader": lambda path, folder: safe_load.load_from_local(str(path)),
    "mmengine": lambda path, folder: load_checkpoint(Toy(), str(path)),
    "prefix": lambda path, folder: checkpoint._load_checkpoint_with_prefix("net", str(path)),
    "pretrained": lambda path, folder: PretrainedInit(str(path))(Toy()),
    "resume": lambda path, folder: runner_of(folder).resume(str(path)),
    "val": lambda path, folder: runner_of(folder, load_from=str(path)).val(),
    "init_model": init_pose_model,
    "http": lambda path, folder: load_checkpoint(Toy(), "https://models.invalid/m.pth"),
    "zoo": lambda path, folder: load_checkpoint(Toy(), "torchvision://toy"),
    "zoo_file": lambda path, folder: load_checkpoint(Toy(), "open-mmlab://toy"),
}


class TestMaliciousCheckpoint:
    def test_runs_when_loaded_plainly(self, malicious, marker, loads):
        # the control: were the payload harmless, the tests below would show nothing
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", raising=False)
            torch.load(malicious, weights_only=False)
        assert marker.exists()
        assert loads == [False]

    @pytest.mark.parametrize("entry", ENTRY_POINTS)
    def test_is_refused_everywhere(self, malicious, marker, entry, tmp_path, monkeypatch, loads):
        copy_instead_of_download(monkeypatch, malicious, tmp_path)
        monkeypatch.setattr(
            checkpoint, "get_torchvision_models", lambda: {"toy": "https://models.invalid/m.pth"}
        )
        monkeypatch.setenv("MMENGINE_HOME", str(tmp_path))
        (tmp_path / "open_mmlab.json").write_text(f'{{"toy": "{malicious.name}"}}')
        with pytest.raises(ValueError, match=r"is refused, and nothing in it was run: it asks for"):
            ENTRY_POINTS[entry](malicious, tmp_path / "work")
        assert not marker.exists()
        assert loads == []

    @pytest.mark.parametrize("fallback", [False, True], ids=["official", "fork"])
    def test_is_refused_whatever_a_loader_of_mmengine_does(self, malicious, marker, fallback):
        def load_from_somewhere(filename, map_location=None):
            if fallback:  # the fork: first the safe way, then the other
                try:
                    return torch.load(filename, map_location=map_location, weights_only=True)
                except pickle.UnpicklingError:
                    pass
            return torch.load(filename, map_location=map_location, weights_only=False)

        with pytest.raises(ValueError, match="is refused"):
            safe_load._only_weights(load_from_somewhere)(str(malicious), map_location="cpu")
        assert not marker.exists()

    def test_is_refused_against_the_users_own_switch(self, malicious, marker, monkeypatch):
        # the advice that circulates for torch 2.6
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
        with pytest.raises(ValueError, match="is refused"):
            load_checkpoint(Toy(), str(malicious))
        assert not marker.exists()
        assert os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] == "1"
        assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ

    def test_cannot_borrow_the_getattr_of_a_history_buffer(self, tmp_path):
        path = tmp_path / "reach.pth"
        torch.save({"reach": Payload(getattr, HistoryBuffer, "__init__")}, path)
        with pytest.raises(ValueError, match=r"it asks for builtins\.getattr"):
            safe_load.load_from_local(str(path))

    def test_whole_model_is_refused_by_name(self, tmp_path):
        torch.save({"model": nn.Linear(2, 1)}, tmp_path / "model.pth")
        with pytest.raises(ValueError, match=r"linear\.Linear.*save its weights alone"):
            safe_load.load_from_local(str(tmp_path / "model.pth"))


class TestUnreadableFile:
    @pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older-format"])
    @pytest.mark.parametrize("fraction", [0.0, 0.02, 0.5, 0.98])
    def test_cut_off(self, tmp_path, zipped, fraction):
        path = tmp_path / "cut.pth"
        torch.save({"w": torch.ones(3000)}, path, _use_new_zipfile_serialization=zipped)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * fraction)])
        with pytest.raises(ValueError, match=r"cut\.pth, but it cannot be read.*cut off"):
            safe_load.load_from_local(str(path))

    @pytest.mark.parametrize("content", [b"<html>404</html>", b"hello\n" * 99, b"PK\x03\x04" * 30])
    def test_something_else(self, tmp_path, content):
        path = tmp_path / "other.pth"
        path.write_bytes(content)
        with pytest.raises(ValueError, match="no PyTorch checkpoint") as caught:
            load_checkpoint(Toy(), str(path))
        assert "weights_only=False" not in str(caught.value)

    def test_missing_and_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"none\.pth, found no such file"):
            load_checkpoint(Toy(), str(tmp_path / "none.pth"))
        with pytest.raises(FileNotFoundError, match="in the folder .*, found none"):
            load_checkpoint(Toy(), str(tmp_path))

    def test_not_a_dict(self, tmp_path):
        torch.save([torch.ones(1)], tmp_path / "list.pth")
        with pytest.raises(ValueError, match="it holds a list"):
            safe_load.load_from_local(str(tmp_path / "list.pth"))

    def test_home_folder_is_expanded(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        torch.save({"w": torch.ones(1)}, tmp_path / "w.pth")
        assert set(safe_load.load_from_local("~/w.pth")) == {"w"}

    def test_failed_download(self, tmp_path, monkeypatch):
        def fail(url, *_, **__):
            raise urllib.error.URLError("Name or service not known")

        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
        with pytest.raises(OSError, match=r"cannot be downloaded \(Name or service not known\)"):
            load_checkpoint(Toy(), "https://models.invalid/m.pth")

    def test_full_gpu_is_not_blamed_on_the_file(self):
        with (
            pytest.raises(RuntimeError, match="^CUDA out of memory"),
            safe_load._safely("m.pth"),
        ):
            raise RuntimeError("CUDA out of memory")


class TestDamage:
    """A checkpoint is refused if any byte of its content is not what was written."""

    @pytest.fixture
    def small(self, tmp_path) -> Path:
        torch.manual_seed(0)
        weights = {name: torch.randn(20) for name in "ab"}
        torch.save({"state_dict": weights, "meta": {"epoch": 1}}, tmp_path / "small.pth")
        return tmp_path / "small.pth"

    def test_no_flipped_bit_gets_through(self, small):
        whole, expected = small.read_bytes(), safe_load.load_from_local(str(small))
        refused = 0
        for place in range(0, len(whole), 3):
            changed = bytearray(whole)
            changed[place] ^= 1 << place % 8
            small.write_bytes(changed)
            try:
                found = safe_load.load_from_local(str(small))
            except ValueError:
                refused += 1
            else:  # padding and times
                torch.testing.assert_close(found, expected, rtol=0, atol=0)
        assert refused > len(whole) / 6

    def test_no_cut_gets_through(self, small):
        whole = small.read_bytes()
        assert safe_load.is_complete(small)
        for length in range(0, len(whole), 7):
            small.write_bytes(whole[:length])
            assert not safe_load.is_complete(small)
            with pytest.raises(ValueError, match="cut off or no PyTorch checkpoint"):
                safe_load.load_from_local(str(small))

    def test_files_without_checksums_load(self, small):
        content = torch.load(small)
        torch.save(content, small, _use_new_zipfile_serialization=False)
        assert safe_load.is_complete(small)
        torch.testing.assert_close(safe_load.load_from_local(str(small)), content)
        before = torch.serialization.get_crc32_options()
        torch.serialization.set_crc32_options(False)
        try:
            torch.save(content, small)
        finally:
            torch.serialization.set_crc32_options(before)
        torch.testing.assert_close(safe_load.load_from_local(str(small)), content)
