"""The ruler's stages in one graph: a whole radiograph in, both marks in its px out.

The crops are those of ``cv2.warpAffine`` (bilinear, black outside), to the bit where float32 holds
the crop's side: it rounds positions to 1/1024 px and then down to 1/32. Neither turns, so rows and
columns are read by index, of the whole radiograph no more than a crop needs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FINE, COARSE = 1024, 32
"""Steps a px that OpenCV rounds positions to, and those that it interpolates at."""


def taps(start: Tensor, step: Tensor, count: int, length: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Index and weight (count,) of both px that each position of a crop lies between.

    Args:
        start: Position of the crop's first px along an axis of the image.
        step: Distance of its px.
        count: Number of them.
        length: Of the image; px outside have weight 0.
    """
    along = torch.arange(count, device=step.device)
    steps = torch.round(step * along * FINE) + torch.round(start * FINE) + FINE / COARSE / 2
    position = torch.floor(steps * COARSE / FINE) / COARSE
    low = torch.floor(position)
    upper = position - low
    found = []
    for index, weight in ((low, 1 - upper), (low + 1, upper)):
        inside = (index >= 0) & (index < length)
        kept = torch.minimum(index.clamp_min(0), length - 1)
        found.append((kept.long(), weight * inside))
    return found


def crop(image: Tensor, center: Tensor, scale: Tensor, size: tuple[int, int]) -> Tensor:
    """Crop an image (H, W, 3) uint8 as MMPose's ``TopdownAffine`` without UDP does, (h, w, 3) uint8.

    Args:
        image: Any.
        center: (2,) of the crop, px of the image.
        scale: (2,) width and height of the crop, px of the image.
        size: Its width and height, w and h, in px of the crop.
    """
    start, step = center - scale / 2, scale / scale.new_tensor(size)
    height, width = sides(image)
    columns = taps(start[0], step[0], size[0], width)
    total = torch.zeros(())
    for row, row_weight in taps(start[1], step[1], size[1], height):
        line = image.index_select(0, row)
        for column, weight in columns:
            values = line.index_select(1, column).float()
            total = total + values * (row_weight[:, None] * weight)[..., None]
    return torch.floor(total + 0.5).to(torch.uint8)


def sides(image: Tensor) -> tuple[Tensor, Tensor]:
    """Height and width of an image (H, W, 3), which the graph does not know before it runs."""
    return torch.scalar_tensor(image.shape[0]), torch.scalar_tensor(image.shape[1])


class RulerGraph(nn.Module):
    """As :class:`~equikpt.apis.ruler.RulerFinder`, of one radiograph (1, H, W, 3) uint8.

    Args:
        coarse: Graph of the first stage: crops (N, h, w, 3) uint8 to the outputs of keypoints.
        size: Width and height of its crops.
        fine: Graph of the second stage, likewise; None gives the coarse marks.
        fine_size: Width and height of its crops.
        crop_fraction: Side of the square around a mark, as a fraction of the radiograph's height.
        padding: Of ``GetBBoxCenterScale`` in both stages.
    """

    def __init__(
        self,
        coarse: nn.Module,
        size: tuple[int, int],
        fine: nn.Module | None = None,
        fine_size: tuple[int, int] = (0, 0),
        crop_fraction: float = 0.128,
        padding: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        super().__init__()
        self.coarse, self.size = coarse, size
        self.fine, self.fine_size = fine, fine_size
        self.crop_fraction, self.padding = crop_fraction, padding

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """``keypoints`` (1, 2, 2) and ``radius`` (1, 2) px of the radiograph, ``scores`` (1, 2).

        The score of a mark is the lower one of both stages, the radius that of the fine one, and
        ``novelty`` (1,) that of the whole radiograph.
        """
        whole = image[0]
        height, width = sides(whole)
        last = torch.stack([width, height]) - 1  # the box ends at the last px, as in training
        found = self._stage(self.coarse, whole, [last / 2], last * self.padding[0], self.size)
        if self.fine is not None:
            marks = list(found["keypoints"][0])
            side = (self.crop_fraction * height * self.padding[1]).expand(2)
            refined = self._stage(self.fine, whole, marks, side, self.fine_size)
            own = {name: _of_their_own(values) for name, values in refined.items()}
            scores = torch.minimum(found["scores"], own["scores"])
            novelty = {"novelty": found["novelty"]} if "novelty" in found else {}
            found = {**own, "scores": scores, **novelty}
        names = ("keypoints", "scores", "radius", "novelty")
        return {name: found[name] for name in names if name in found}

    @staticmethod
    def _stage(
        graph: nn.Module, image: Tensor, centers: list[Tensor], box: Tensor, size: tuple[int, int]
    ) -> dict[str, Tensor]:
        """Outputs of a stage, in px of the image, for boxes of one size (2,) around centres (2,)."""
        aspect = size[0] / size[1]
        wide = torch.maximum(box[0], box[1] * aspect)
        scale = torch.stack([wide, wide / aspect])
        found = graph(torch.stack([crop(image, center, scale, size) for center in centers]))
        px = scale / scale.new_tensor(size)  # px of the image a px of the crop
        corner = torch.stack(centers)[:, None] - scale / 2
        found = {**found, "keypoints": found["keypoints"] * px + corner}
        if "radius" in found:
            found["radius"] = found["radius"] * px.prod().sqrt()
        return found


def _of_their_own(values: Tensor) -> Tensor:
    """(2, 2, …) of a crop a mark, to what each says of its own mark, (1, 2, …)."""
    if values.dim() < 2:
        return values
    return torch.stack([values[0, 0], values[1, 1]])[None]
