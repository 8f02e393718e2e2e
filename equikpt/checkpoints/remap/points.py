"""Channels of one keypoint set as channels of another."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from equikpt.metainfo.correspondence import KEYPOINT_NAMES, index_pairs


@dataclass(frozen=True)
class PointMatch:
    """Pairs of channels: those of ``source`` become those of ``target``."""

    source: str
    target: str
    source_index: tuple[int, ...]
    target_index: tuple[int, ...]

    @classmethod
    def between(cls, source: str, target: str) -> PointMatch:
        """The correspondence of two keypoint sets, or the identity of one.

        Raises:
            ValueError: A set is unknown.
        """
        if source == target and source in KEYPOINT_NAMES:
            same = tuple(range(len(KEYPOINT_NAMES[source])))
            return cls(source, target, same, same)
        a, b = index_pairs(source, target)
        return cls(source, target, tuple(a.tolist()), tuple(b.tolist()))

    @property
    def source_count(self) -> int:
        """Number of keypoints of ``source``."""
        return len(KEYPOINT_NAMES[self.source])

    @property
    def target_count(self) -> int:
        """Number of keypoints of ``target``."""
        return len(KEYPOINT_NAMES[self.target])

    def apply(self, tensor: Tensor, dim: int) -> Tensor:
        """Copied channels, and their mean for the points that ``source`` lacks.

        Args:
            tensor: Floating point, of length ``source_count`` along ``dim``.
            dim: Its dimension of keypoints.

        Returns:
            A new tensor, of length ``target_count`` along ``dim``.
        """
        copied = tensor.movedim(dim, 0)[list(self.source_index)]
        mean = copied.double().mean(0, keepdim=True).to(tensor.dtype)
        result = mean.repeat(self.target_count, *(1 for _ in copied.shape[1:]))
        result[list(self.target_index)] = copied
        return result.movedim(0, dim).contiguous()

    def describe(self) -> str:
        """The same in words: ``nose = Nose, l_eye = L_Eye; mean of these: l_ear``."""
        ours, theirs = KEYPOINT_NAMES[self.target], KEYPOINT_NAMES[self.source]
        pairs = zip(self.target_index, self.source_index, strict=True)
        copied = ", ".join(f"{ours[b]} = {theirs[a]}" for b, a in pairs)
        others = [name for b, name in enumerate(ours) if b not in self.target_index]
        return f"{copied}; mean of these: {', '.join(others)}" if others else copied
