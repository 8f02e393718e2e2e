"""CSPNeXt whose frozen stages are frozen from the beginning."""

from __future__ import annotations

from mmpose.models.backbones import CSPNeXt
from mmpose.registry import MODELS


@MODELS.register_module()
class FreezingCSPNeXt(CSPNeXt):
    """MMPose's CSPNeXt, which freezes when it is built and not only when training starts.

    MMPose's own freezes in ``train()``, after MMEngine has wrapped the model in DDP, which then
    waits for gradients that never come. Takes the same arguments; its weights have the same names.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._freeze_stages()
