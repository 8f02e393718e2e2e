"""Learning from images without labels, by the averaged model's output as their targets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.dist import all_reduce, broadcast_object_list, is_main_process
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import HOOKS, KEYPOINT_CODECS
from mmpose.structures import PoseDataSample
from torch import Tensor
from torch.utils.data import DataLoader

from equikpt.compat.strict_load import unwrap
from equikpt.datasets.unlabelled import StreamSampler, UnlabelledDataset, cut_out, views
from equikpt.engine.epoch_hooks import equikpt_worker_init_fn
from equikpt.engine.training_features import dataset_parts
from equikpt.engine.uncertainty_hook import fitted_in
from equikpt.engine.unlabelled_images import usable_images
from equikpt.engine.unlabelled_weight import ShareWatch, ramp_up
from equikpt.metainfo.trained import TRAINED
from equikpt.models.pseudo_targets import (
    heatmap_targets,
    keypoint_weights,
    simcc_targets,
    swap_mirrored,
    teacher_maps,
)
from equikpt.structures.checkpoint_records import RecordError
from equikpt.structures.uncertainty import Uncertainty, recorded_uncertainty

STATE = "unlabelled"
"""Key of the hook's state in a checkpoint, and of the mark of a sample."""
LOSSES = {"HeatmapHead": "KeypointMSELoss", "RTMCCHead": "KLDiscretLoss"}
"""Heads that pseudo-targets can be made for, each with the loss that takes them."""


def check_config(cfg: Config) -> None:
    """Raise ``ValueError`` for a config whose model cannot learn from unlabelled images."""
    head = cfg.model.get("head") or {}
    name, loss = str(head.get("type")), head.get("loss") or {}
    if LOSSES.get(name) != loss.get("type") or cfg.model.get("type") != "ValLossTopdownEstimator":
        known = " or ".join(f"{head} with {loss}" for head, loss in LOSSES.items())
        raise ValueError(
            f"expected a ValLossTopdownEstimator of a {known} for unlabelled images, got a "
            f"{cfg.model.get('type')} of a {name} with {loss.get('type')}; train it on labels alone"
        )
    if not loss.get("use_target_weight", name == "RTMCCHead"):
        raise ValueError(
            f"expected use_target_weight=True in model.head.loss ({loss['type']}) for unlabelled "
            "images, whose keypoints count by their confidence; set it"
        )
    if (head.get("decoder") or {}).get("heatmap_type", "gaussian") != "gaussian":
        raise ValueError("expected heatmap_type='gaussian' for unlabelled images; change the codec")
    hooks = [*(cfg.get("custom_hooks") or ()), *cfg.default_hooks.values()]
    if not any(hook and hook.get("type") == "EMAHook" for hook in hooks):
        raise ValueError(
            "expected an EMAHook among custom_hooks for unlabelled images, whose teacher its model "
            "is, got none; add the one of configs/_base_/runtime.py"
        )
    views(_train_part(cfg).pipeline)


@HOOKS.register_module()
class UnlabelledHook(Hook):
    """Train on unlabelled images too, with the output of the averaged model as their targets.

    The teacher is the model of the run's ``EMAHook``. It looks at a weakly augmented view, and at
    its mirror image where validation does (``flip_test``). Its maps, moved to a strongly augmented
    view (the training's own pipeline, and holes over joints), are the student's targets there. A
    keypoint counts by the teacher's confidence: its calibrated probability once a validation, or
    the checkpoint that the run starts from, has one, before that the peak of its map. The labelled
    part of a batch is trained as without this hook; the loss of the other is ``loss_unlabelled``.

    Args:
        source: Folder of images, or COCO file with boxes; None switches the hook off. Images that
            are like labelled ones are left out.
        weight: Factor of the loss.
        begin: Fraction of the training up to which the weight is 0.
        end: Fraction at which it is full; in between it follows :func:`ramp_up`.
        min_confidence: Least confidence of a keypoint that counts.
        batch_size: Images a step and process; None is that of the labelled ones.
        num_workers: Of the loader; None is that of the labelled images.
        cutout_prob: Probability that joints of an image are covered.
        cutout_joints: Greatest number of them.
        cutout_size: Sides of a hole, fractions of the shorter side of the input.

    Raises:
        ValueError: An option out of its range; before a training, as :func:`check_config`.
    """

    priority = "BELOW_NORMAL"  # after the seeds of an epoch, before checkpoints are written

    def __init__(
        self,
        source: str | None = None,
        weight: float = 1.0,
        begin: float = 0.2,
        end: float = 0.5,
        min_confidence: float = 0.8,
        batch_size: int | None = None,
        num_workers: int | None = None,
        cutout_prob: float = 0.5,
        cutout_joints: int = 3,
        cutout_size: tuple[float, float] = (0.1, 0.2),
    ) -> None:
        in_range = 0 <= begin < end <= 1 and 0 <= min_confidence <= 1 and 0 <= cutout_prob <= 1
        if not in_range or weight < 0 or cutout_joints < 1:
            raise ValueError(
                "expected 0 <= begin < end <= 1, min_confidence and cutout_prob in 0 to 1, weight "
                f"of at least 0 and cutout_joints of at least 1, got begin={begin}, end={end}, "
                f"min_confidence={min_confidence}, cutout_prob={cutout_prob}, weight={weight}, "
                f"cutout_joints={cutout_joints}"
            )
        self.source = source
        self.weight, self.begin, self.end = weight, begin, end
        self.min_confidence = min_confidence
        self.batch_size, self.num_workers = batch_size, num_workers
        self.cutout_prob, self.cutout_joints = cutout_prob, cutout_joints
        self.cutout_size = cutout_size
        self.watch = ShareWatch()
        self._fit: Uncertainty | None = None
        self._batches: Iterator | None = None

    def before_train(self, runner: Runner) -> None:
        """Find the teacher and the images."""
        if not self.source:
            return
        check_config(runner.cfg)
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise ValueError("expected train_cfg.by_epoch=True for unlabelled images")
        self._ema = next(hook for hook in runner.hooks if isinstance(hook, EMAHook))
        found: list[Any] = [usable_images(self.source, runner.cfg) if is_main_process() else None]
        broadcast_object_list(found)
        part, loader = _train_part(runner.cfg), runner.cfg.train_dataloader
        # of the crops that are trained on, which may be smaller than those that are tested
        self._codec = KEYPOINT_CODECS.build(part.get("codec") or runner.cfg.model.head.decoder)
        dataset = UnlabelledDataset(found[0], part.pipeline, part.get("codec"))
        batch_size = self.batch_size or loader.batch_size
        count = batch_size * len(runner.train_dataloader)
        self._sampler = StreamSampler(
            len(dataset), count, runner.seed, runner.rank, runner.world_size
        )
        workers = loader.num_workers if self.num_workers is None else self.num_workers
        self._loader = DataLoader(
            dataset,
            batch_size,
            sampler=self._sampler,
            num_workers=workers,
            collate_fn=pseudo_collate,
            worker_init_fn=equikpt_worker_init_fn,
        )
        self._flip_indices = runner.train_dataloader.dataset.metainfo["flip_indices"]

    def before_train_epoch(self, runner: Runner) -> None:
        """Begin the images of this epoch."""
        if self.source:
            self._sampler.epoch, self._batches = runner.epoch, None
            self._counts = torch.zeros(2, dtype=torch.float64)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Add unlabelled images with their pseudo-targets to the batch."""
        factor = ramp_up(runner.iter / runner.max_iters, self.begin, self.end)
        if not self.source or self.watch.stopped or not factor or data_batch is None:
            return
        self._batches = self._batches or iter(self._loader)
        batch = next(self._batches)
        samples, shown = self.teach(runner, batch, self.weight * factor)
        data_batch["inputs"] = [*data_batch["inputs"], *shown]
        data_batch["data_samples"] = [*data_batch["data_samples"], *samples]
        runner.message_hub.update_scalar("train/unlabelled_weight", self.weight * factor)

    def teach(
        self, runner: Runner, batch: Mapping[str, Any], factor: float
    ) -> tuple[list[PoseDataSample], list[Tensor]]:
        """Samples with pseudo-targets, and the strong views (C, H, W) that they belong to.

        Args:
            runner: Of the training.
            batch: Lists of what :class:`UnlabelledDataset` gives.
            factor: Of all weights.
        """
        teacher = self._ema.ema_model.module.eval()
        with torch.no_grad(), runner.optim_wrapper.optim_context(teacher):
            data = teacher.data_preprocessor(dict(inputs=batch["weak"], data_samples=[]), False)
            maps = teacher_maps(teacher, data["inputs"], self._flip_indices)
        matrix = torch.stack(batch["matrix"]).to(maps[0].device)
        maps = [swap_mirrored(each.float(), matrix, self._flip_indices) for each in maps]
        make = simcc_targets if len(maps) == 2 else heatmap_targets
        targets, scores, points = make(teacher.head, self._codec, maps, matrix)
        confidence = self.confidence(scores)
        trained = runner.train_dataloader.dataset.metainfo.get(TRAINED)
        if trained is not None:
            confidence = confidence * confidence.new_tensor(np.asarray(trained))
        is_confident = confidence >= self.min_confidence
        count = is_confident.sum().item()
        self._counts += torch.tensor([count, is_confident.numel()])
        runner.message_hub.update_scalar("train/unlabelled_share", count / is_confident.numel())
        height, width = batch["strong"][0].shape[1:]
        weights = keypoint_weights(confidence, points, (width, height), self.min_confidence)
        shown = [self._cover(*each) for each in zip(batch["strong"], points, weights, strict=True)]
        weights = weights * factor
        return [
            _sample({name: each[i] for name, each in targets.items()}, weights[i])
            for i in range(len(weights))
        ], shown

    def confidence(self, scores: Tensor) -> Tensor:
        """Confidence of scores (B, K): calibrated probabilities, or the peaks themselves."""
        if self._fit is None:
            return scores.clamp(0, 1)
        return scores.new_tensor(self._fit.probability(scores.cpu().numpy()))

    def _cover(self, image: Tensor, points: Tensor, weights: Tensor) -> Tensor:
        candidates = torch.nonzero(weights.cpu() > 0)[:, 0]
        if torch.rand(()) >= self.cutout_prob or not len(candidates):
            return image
        count = int(torch.randint(1, self.cutout_joints + 1, ()))
        chosen = candidates[torch.randperm(len(candidates))[:count]]
        return cut_out(image, points[chosen.to(points.device)], self.cutout_size)

    def after_train_epoch(self, runner: Runner) -> None:
        """Log the share of confident keypoints, and stop where it falls."""
        if not self.source or self._batches is None:
            return
        self._batches = None
        all_reduce(self._counts)
        share = float(self._counts[0] / self._counts[1])
        self.watch.see(share)
        source = "calibrated probability" if self._fit else "peak of the map"
        runner.logger.info(
            f"Unlabelled images: {share:.0%} of their keypoints are confident ({source} at least "
            f"{self.min_confidence:g})"
        )
        if self.watch.stopped:
            runner.logger.warning(
                f"Unlabelled images are no longer used: {share:.0%} of their keypoints are "
                f"confident, after {self.watch.best:.0%}, as when teacher and student collapse; a "
                "smaller default_hooks.unlabelled.weight, or a later begin, may help"
            )

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Take the calibration of the teacher, which was validated."""
        if not self.source:
            return
        fit = [fitted_in(runner._val_loop)]
        broadcast_object_list(fit)
        if isinstance(fit[0], Uncertainty):
            if self._fit is None:  # shares by peaks are on another scale
                self.watch = ShareWatch(stopped=self.watch.stopped)
            self._fit = fit[0]

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the state."""
        if self.source:
            fit = self._fit and self._fit.to_dict()
            checkpoint[STATE] = dict(watch=asdict(self.watch), fit=fit)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Go on with the state of a run, or take the calibration of the weights it starts from."""
        if not runner._resume:
            self._fit = _calibration(checkpoint, unwrap(runner.model))
        elif STATE in checkpoint:
            state = checkpoint[STATE]
            self.watch = ShareWatch(**state["watch"])
            self._fit = state["fit"] and Uncertainty.from_dict(state["fit"])


def _sample(targets: dict[str, Tensor], weights: Tensor) -> PoseDataSample:
    """Sample of an unlabelled image, marked as such; ``weights`` (K,)."""
    sample = PoseDataSample(metainfo={STATE: True})
    labels = InstanceData(keypoint_weights=weights[None])
    for name, each in targets.items():
        if name == "heatmaps":
            sample.gt_fields = PixelData(heatmaps=each)
        else:
            labels.set_field(each[None], name)
    sample.gt_instance_labels = labels
    return sample


def _calibration(checkpoint: dict, model: Any) -> Uncertainty | None:
    """Calibration of a model's own keypoints that a checkpoint has; one of another version none."""
    with contextlib.suppress(RecordError):
        fit = recorded_uncertainty(checkpoint)
        if isinstance(fit, Uncertainty) and len(fit.factors) == model.head.out_channels:
            return fit
    return None


def _train_part(cfg: Config) -> Any:
    """Config of the training's data set, the first of several."""
    return next(dataset_parts(cfg, "train"))
