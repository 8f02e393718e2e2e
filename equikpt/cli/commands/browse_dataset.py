"""Draw what a config's pipeline makes of its data: points and augmentation, to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from equikpt.cli import options as declare
from equikpt.cli.commands.test import Split
from equikpt.cli.entry import whole
from equikpt.cli.options import option


@dataclass(frozen=True)
class BrowseOptions(declare.ReadsImages):
    """Draw what a config's pipeline makes of its data: points and augmentation, to look at."""

    config: str = declare.config_argument()
    data_root: str | None = declare.data_root()
    split: Split = option("whose pipeline and images", default="train")
    count: int = option("samples drawn", default=12, type=whole(1), metavar="N")
    each: bool = option("one training sample instead, after each augmentation alone", default=False)
    index: int = option("which sample --each takes", default=0, type=whole(), metavar="N")
    seed: int = declare.seed("of the augmentation")
    out: Path | None = option("(default: work_dirs/browse_CONFIG.jpg)", metavar="FILE.jpg")
    overwrite: bool = declare.overwrite()
    cfg_options: Sequence[str] | None = declare.cfg_options()


def main(argv: list[str] | None = None) -> int:
    """Draw the samples into one image; 0 when done."""
    options = declare.parse(BrowseOptions, argv)
    import cv2

    from equikpt.cli.browse import draw_each_transform, draw_samples, sheet
    from equikpt.cli.launch import check_annotation_files, load_config, parse_options, set_data_root
    from equikpt.core.files import refuse_existing, write_bytes
    from equikpt.visualization.pose import check_image_name

    out = options.out or Path("work_dirs") / f"browse_{Path(options.config).stem}.jpg"
    check_image_name(str(out))
    refuse_existing(out, options.overwrite)
    cfg = load_config(options.config, parse_options(options.cfg_options))
    set_data_root(cfg, options.data_root)
    check_annotation_files(cfg, (options.split,))
    if options.each:
        drawings = draw_each_transform(cfg, options.seed, options.index)
    else:
        drawings = draw_samples(cfg, options.split, options.count, options.seed)
    write_bytes(out, cv2.imencode(out.suffix, sheet(drawings))[1].tobytes())
    print(f"written: {out}")
    return 0
