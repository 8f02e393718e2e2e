"""The stand-in for mmcv's compiled half as a module: what it has, and how it refuses the rest.

The results of its operators are tested in ``mmcv_ext``.
"""

from __future__ import annotations

import importlib.util
import pickle
import sys

import mmcv
import mmcv.ops
import pytest
import torch

from equikpt.compat import mmcv_ops


@pytest.fixture
def stand_in(monkeypatch):
    """The stand-in in the place of ``mmcv._ext``, whatever is installed."""
    module = mmcv_ops.build_ext()
    monkeypatch.setitem(sys.modules, mmcv_ops.NAME, module)
    return module


def test_every_operator_is_there_under_its_name(stand_in):
    for operator in mmcv_ops.OPERATORS:
        assert getattr(stand_in, operator.__name__) is operator


@pytest.mark.parametrize("name", ["carafe_forward", "nms_rotated", "an_operator_of_the_future"])
def test_other_operators_exist_and_fail_when_called(stand_in, name):
    operator = getattr(stand_in, name)
    assert operator.__name__ == name
    with pytest.raises(NotImplementedError, match=rf"'{name}'.*compiled mmcv.*pip install"):
        operator(torch.zeros(1), threshold=0.5)


@pytest.mark.skipif(
    not mmcv_ops.is_stand_in(sys.modules[mmcv_ops.NAME]), reason="mmcv has compiled operators"
)
def test_function_of_mmcv_without_operator_says_how_to_get_it():
    with pytest.raises(NotImplementedError, match="'roi_pool_forward'"):
        mmcv.ops.roi_pool(torch.zeros(1, 1, 4, 4), torch.zeros(1, 5), 2)


def test_names_of_python_itself_are_absent(stand_in):
    # inspect, pickle and torch ask modules for such names and take any answer at its word
    for name in ("__file__", "__path__", "__wrapped__"):
        assert not hasattr(stand_in, name)
    with pytest.raises(AttributeError, match="__path__"):
        stand_in.__path__  # noqa: B018


def test_is_found_like_a_compiled_file(stand_in):
    spec = importlib.util.find_spec(mmcv_ops.NAME)
    assert spec is stand_in.__spec__
    assert spec.loader is not None, "pkgutil.find_loader, which official mmengine asks, needs one"


def test_mmengine_believes_in_deformable_convolutions():
    # else its optimizer constructor overlooks the dcn_offset_lr_mult of a config
    from mmengine.utils.dl_utils.misc import mmcv_full_available

    assert mmcv_full_available()


def test_is_told_from_a_compiled_module(stand_in):
    assert mmcv_ops.is_stand_in(stand_in)
    assert not mmcv_ops.is_stand_in(pickle)


def test_report_of_mmcv_says_that_nothing_was_compiled(stand_in):
    assert stand_in.get_compiler_version() == "n/a"
    assert stand_in.get_compiling_cuda_version() == "n/a"


@pytest.mark.parametrize(
    ("version", "package"),
    [("2.1.0", "MMCV_WITH_OPS=1 pip install.* mmcv==2.1.0"), ("2.3.6", "onedl-mmcv==2.3.6")],
    ids=["official", "fork"],
)
def test_way_to_a_compiled_mmcv_fits_the_installed_one(monkeypatch, stand_in, version, package):
    monkeypatch.setattr(mmcv, "__version__", version)
    with pytest.raises(NotImplementedError, match=package):
        stand_in.carafe_forward()
