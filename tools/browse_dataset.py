"""Draw what a config's pipeline makes of its data: points and augmentation, to look at."""

from __future__ import annotations

import argparse
from pathlib import Path

from equikpt.cli.entry import MAX_SEED, add_max_megapixels, whole


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", metavar="CONFIG", help="a config file, or its name")
    parser.add_argument("--data-root", help="folder of the data (default: the config's)")
    parser.add_argument("--split", choices=("train", "val", "test"), default="train")
    parser.add_argument("--count", type=whole(1), default=12, help="samples drawn (default: 12)")
    parser.add_argument(
        "--each",
        action="store_true",
        help="one training sample instead, after each augmentation alone",
    )
    parser.add_argument("--index", type=whole(), default=0, help="which sample --each takes")
    parser.add_argument("--seed", type=whole(0, MAX_SEED), default=0, help="of the augmentation")
    parser.add_argument(
        "--out", type=Path, metavar="FILE.jpg", help="(default: work_dirs/browse_CONFIG.jpg)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    parser.add_argument(
        "--cfg-options", nargs="+", action="extend", metavar="KEY=VALUE", help="change the config"
    )
    add_max_megapixels(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    import cv2

    from equikpt.cli.browse import draw_each_transform, draw_samples, sheet
    from equikpt.cli.launch import check_annotation_files, load_config, parse_options, set_data_root
    from equikpt.core.files import refuse_existing, write_bytes
    from equikpt.visualization.pose import check_picture_name

    out = args.out or Path("work_dirs") / f"browse_{Path(args.config).stem}.jpg"
    check_picture_name(str(out))
    refuse_existing(out, args.overwrite)
    cfg = load_config(args.config, parse_options(args.cfg_options))
    set_data_root(cfg, args.data_root)
    check_annotation_files(cfg, (args.split,))
    if args.each:
        drawings = draw_each_transform(cfg, args.seed, args.index)
    else:
        drawings = draw_samples(cfg, args.split, args.count, args.seed)
    write_bytes(out, cv2.imencode(out.suffix, sheet(drawings))[1].tobytes())
    print(f"written: {out}")
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
