"""Released weights that the configs start from.

Addresses and names are those of MMPose's model index and configs. OpenMMLab puts the first digits
of a file's SHA-256 into its name, with exceptions: the files of ``rtmposev1/`` were exchanged and
kept their names. RTMPose-m's SHA-256, 896e3665…, is given alike by several projects that fetched
it; the name says 7a041aa1 (open-mmlab/mmpose#3273 shows the same of RTMPose-s). Such a row states
the whole sum, or that none is known.

OpenMMLab publishes the files under the terms of MMPose, Apache-2.0, and states no others for them;
what the terms of the images mean for weights trained on them is an open question
(open-mmlab/mmpose#2106), so each row names those too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from equikpt.core.configs import shipped_folder

SCHEME = "zoo://"
"""Beginning of a config's ``load_from`` that names a row: ``zoo://rtmpose_m_ap10k``."""

MMPOSE = "https://download.openmmlab.com/mmpose"
LICENCE = "Apache-2.0 (MMPose)"

AP10K = "AP-10K: CC BY 4.0"  # its README
ANIMALPOSE = "Animal-Pose: terms unknown"
COCO = "COCO: annotations CC BY 4.0, images under Flickr's terms"
AIC = "AI Challenger: terms unknown"
IMAGENET = "ImageNet: non-commercial research"


@dataclass(frozen=True)
class Checkpoint:
    """One released file.

    Attributes:
        name: Short name, for commands.
        url: Address.
        keypoints: The points of its head, a name of ``metainfo.correspondence.KEYPOINT_NAMES`` or
            ``coco``; empty where only its backbone is of use.
        holds: The network, the input in px (width × height) and what it was trained on.
        data: The terms of the images it was trained on.
        licence: The terms under which it is published.
        sha256: The whole SHA-256 where it is known from others than the file's name.
        named_by_sha256: True if the digits in the file's name begin its SHA-256.
        prefix: Prefix, in the file, of the names of a backbone's weights.
    """

    name: str
    url: str
    keypoints: str
    holds: str
    data: str
    licence: str = LICENCE
    sha256: str = ""
    named_by_sha256: bool = True
    prefix: str = ""

    @property
    def file_name(self) -> str:
        """Last part of the address."""
        return self.url.rpartition("/")[2]

    @property
    def name_digits(self) -> str:
        """The 8 hexadecimal digits in the file's name."""
        match = re.search(r"-([0-9a-f]{8})(?:_\d{8})?\.pth$", self.file_name)
        if match is None:
            raise ValueError(f"expected NAME-8DIGITS[_DATE].pth, got {self.file_name!r}")
        return match[1]

    @property
    def sha256_prefix(self) -> str:
        """Known first digits of the file's SHA-256; may be empty."""
        return self.sha256 or (self.name_digits if self.named_by_sha256 else "")


CHECKPOINTS: tuple[Checkpoint, ...] = (
    Checkpoint(
        "rtmpose_m_ap10k",
        f"{MMPOSE}/v1/projects/rtmposev1/rtmpose-m_simcc-ap10k_pt-aic-coco_210e-256x256-7a041aa1_20230206.pth",
        "ap10k",
        "RTMPose-m, 256 × 256, AP-10K after COCO and AIC",
        f"{AP10K}; {COCO}; {AIC}",
        sha256="896e3665d849ef7eb9b6ec0995955796cc9810f024fa0aa0bdc18acb0d68bf52",
        named_by_sha256=False,
    ),
    Checkpoint(
        "hrnet_w32_ap10k",
        f"{MMPOSE}/animal/hrnet/hrnet_w32_ap10k_256x256-18aac840_20211029.pth",
        "ap10k",
        "HRNet-W32, 256 × 256, AP-10K after ImageNet",
        f"{AP10K}; {IMAGENET}",
        sha256="18aac840eee49f190e1443d93c6c23784920d2fd90813a42d35c918ec23a36e9",
    ),
    Checkpoint(
        "hrnet_w32_animalpose",
        f"{MMPOSE}/animal/hrnet/hrnet_w32_animalpose_256x256-1aa7f075_20210426.pth",
        "animalpose",
        "HRNet-W32, 256 × 256, Animal-Pose after ImageNet",
        f"{ANIMALPOSE}; {IMAGENET}",
    ),
    Checkpoint(
        "cspnext_m_coco_aic",
        f"{MMPOSE}/v1/projects/rtmposev1/cspnext-m_udp-aic-coco_210e-256x192-f2f7d6f6_20230130.pth",
        "",  # its head gives 19 points, COCO's and AIC's together
        "backbone of RTMPose-m, 192 × 256, COCO and AIC",
        f"{COCO}; {AIC}",
        named_by_sha256=False,
        prefix="backbone.",
    ),
    Checkpoint(
        "hrnet_w18_imagenet",
        "https://download.openmmlab.com/pretrain/third_party/hrnetv2_w18-00eb2006.pth",
        "",
        "backbone HRNet-W18, ImageNet",
        IMAGENET,
        sha256="00eb200687c1ed1fc1042767e5b965052f4c7338823ba4d36a790979a078b36b",
    ),
    Checkpoint(
        "hrnet_w32_imagenet",
        f"{MMPOSE}/pretrain_models/hrnet_w32-36af842e.pth",
        "",
        "backbone HRNet-W32, ImageNet",
        IMAGENET,
    ),
    Checkpoint(
        "litehrnet_18_coco",
        f"{MMPOSE}/top_down/litehrnet/litehrnet18_coco_256x192-6bace359_20211230.pth",
        "coco",
        "Lite-HRNet-18, 192 × 256, COCO",
        COCO,
    ),
    Checkpoint(
        "litehrnet_30_coco",
        f"{MMPOSE}/top_down/litehrnet/litehrnet30_coco_256x192-4176555b_20210626.pth",
        "coco",
        "Lite-HRNet-30, 192 × 256, COCO",
        COCO,
    ),
)


def find(name: str) -> Checkpoint:
    """Return the row of a short name; an unknown one is a ``ValueError``."""
    for row in CHECKPOINTS:
        if row.name == name:
            return row
    names = ", ".join(row.name for row in CHECKPOINTS)
    raise ValueError(f"expected the name of released weights, got {name!r}; there are {names}")


def needed() -> tuple[Checkpoint, ...]:
    """Return the rows that shipped configs start from."""
    files = shipped_folder("configs").rglob("*.py")
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    names = set(re.findall(rf'^load_from = "{SCHEME}(\w+)"', text, re.MULTILINE))
    return tuple(row for row in CHECKPOINTS if row.name in names)


def select(names: Sequence[str]) -> tuple[Checkpoint, ...]:
    """Return the rows of several short names, each once; ``all`` stands for every row.

    Raises:
        ValueError: No name is given, or one is unknown.
    """
    if not names:
        raise ValueError(
            "expected names of released weights, or 'all', got none; there are "
            + ", ".join(row.name for row in CHECKPOINTS)
        )
    every = [row.name for row in CHECKPOINTS] if "all" in names else []
    return tuple(find(name) for name in dict.fromkeys([*every, *names]) if name != "all")
