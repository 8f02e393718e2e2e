"""Released weights that the configs start from, and their files on this machine.

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

import io
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pooch

from equikpt.checkpoints.download import download, unaccepted
from equikpt.core.files import write_text

FOLDER = Path("data/checkpoints")
"""Default folder of the files; git ignores ``data/``."""

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


def fetch(
    row: Checkpoint,
    folder: Path = FOLDER,
    *,
    overwrite: bool = False,
    check: bool = True,
    accept_sha256: Collection[str] = (),
    ask: Callable[[str, str], bool] | None = None,
    log: Callable[[str], None] | None = None,
) -> tuple[Path, bool]:
    """Bring a released file into ``folder``: its path, and True if it was fetched.

    Args:
        row: File.
        folder: Folder that it is to stand in.
        overwrite: Replace a file that is not the right one.
        check: Compare SHA-256 sums. A published file whose name has another sum is of use only
            without.
        accept_sha256: Sums of files to take of which no whole sum is known. A sum that was taken is
            written to ``NAME.sha256`` beside the file and compared from then on.
        ask: Asked for any other such file: gets its name and its SHA-256, and returns True to take
            it. None takes none.
        log: As in :func:`equikpt.checkpoints.download.download`, which also names what is raised.

    Raises:
        ValueError: A file that nobody accepts; the next call need not fetch it again.
    """
    path = folder / row.file_name
    known = row.sha256 or accepted_sha256(path) if check else ""
    if known or not check:
        return path, download(row.url, path, known, overwrite=overwrite, log=log)

    def confirm(found: str) -> None:
        if found not in accept_sha256 and not (ask and ask(row.file_name, found)):
            raise ValueError(
                f"expected somebody to accept {row.file_name}, of which no whole SHA-256 is known: "
                f"it is {found}; compare it with a source that you trust and call again with "
                f"accept_sha256 {found}"
            )
        write_text(sum_file(path), f"{found}  {path.name}\n")

    fetched = download(
        row.url, path, row.sha256_prefix, overwrite=overwrite, log=log, confirm=confirm
    )
    if not fetched:
        confirm(pooch.file_hash(path))
    return path, fetched


def sum_file(path: Path) -> Path:
    """Return the file of the accepted SHA-256, as ``sha256sum -c`` reads it."""
    return path.with_name(f"{path.name}.sha256")


def accepted_sha256(path: Path) -> str:
    """Return the SHA-256 that was accepted for a file, empty where none was.

    Raises:
        ValueError: The file with the sum is damaged.
    """
    file = sum_file(path)
    if not file.is_file():
        return ""
    found = file.read_text(encoding="utf-8", errors="replace").split()
    if not found or not re.fullmatch(r"[0-9a-f]{64}", found[0]):
        raise ValueError(f"expected a SHA-256 in {file}, found none; delete it to accept anew")
    return found[0]


def state(row: Checkpoint, folder: Path) -> str:
    """Describe the state of a file in ``folder``."""
    path = folder / row.file_name
    if path.is_file():
        known = row.sha256 or accepted_sha256(path)
        if not pooch.file_hash(path).startswith(known or row.sha256_prefix):
            return "there, wrong SHA-256"
        return "there, valid" if known else "there, SHA-256 not accepted"
    kept = unaccepted(path)
    return f"not accepted, {_size(kept)}" if kept.is_file() else "-"


def usage(row: Checkpoint, path: Path) -> str:
    """Return options of ``tools/train.py``, or a line of a config, that start from the file.

    ``load_from`` goes by the names of a whole model. The weights of a backbone alone have other
    names, so that ``load_from`` would load none of them and only warn.
    """
    values = {"load_from": str(path)}
    if not row.keypoints:
        init = {"type": "Pretrained", "checkpoint": str(path), "prefix": row.prefix}
        values = {f"model.backbone.init_cfg.{key}": value for key, value in init.items() if value}
    if not set(str(path)) & set(" ,"):  # MMEngine's options drop blanks and split at commas
        return shlex.join(["--cfg-options", *(f"{key}={value}" for key, value in values.items())])
    if row.keypoints:
        return f"in the config: load_from = {str(path)!r}"
    inner = ", ".join(f"{key.rpartition('.')[2]}={value!r}" for key, value in values.items())
    return f"in the config: model = dict(backbone=dict(init_cfg=dict({inner})))"


def format_list(folder: Path, width: int, rows: Iterable[Checkpoint] = CHECKPOINTS) -> str:
    """Format a table of the files and of those in ``folder``, at most ``width`` columns wide."""
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for title in ("name", "holds", "keypoints", "licence; data", f"in {folder}", "size"):
        table.add_column(title, overflow="fold")
    for row in rows:
        path = folder / row.file_name
        size = _size(path) if path.is_file() else "-"
        terms = f"{row.licence}; {row.data}"
        cells = (row.name, row.holds, row.keypoints or "-", terms, state(row, folder), size)
        table.add_row(*cells)
    text = io.StringIO()
    Console(file=text, width=width, highlight=False, markup=False).print(table)
    return text.getvalue().rstrip()


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"
