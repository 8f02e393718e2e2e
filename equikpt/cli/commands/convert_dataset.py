from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equikpt.cli import options as declare
from equikpt.cli.options import number, option, required
from equikpt.data_tools.convert import FORMATS, SCHEMES, TARGETS, format_table, writable

EPILOG = """
Keypoints whose names are the target's, or those of AP-10K, AnimalPose or Horse-10, need no mapping.
The mapping is a YAML file:
  mapping: {{nose: nose, l_knee: l_knee, r_knee: r_knee}}   # source: target
  keypoints: [poll, nose, l_knee, r_knee]   # in file order, where it has no names
  flip_idx: [0, 1, 3, 2]   # where neither names nor targets have the sides
  classes: [horse]   # only where the source has several
or one of these:
{schemes}

Output of --to horse26, p1p2, coco17 and coco (the source's own keypoints):
DIR/annotations/{{train,val,test}}.json and DIR/images/{{train,val,test}}/.

What each format keeps:
{table}
"""


@dataclass(frozen=True, kw_only=True)
class ConvertOptions(declare.ReadsImages):
    """Convert labelled images to COCO JSON to train on, and labels or predictions back."""

    format_name: str | None = option(
        "format of the labels (default: the one that the files show)",
        "--from",
        choices=sorted(FORMATS),
    )
    input: Path = required("labels to convert: file, folder or zip", metavar="PATH")
    output: Path = required("folder to write", "--output", "--out", metavar="DIR")
    target_name: str = option(
        "what to write", "--to", default="horse26", choices=(*TARGETS, *writable())
    )
    mapping: str | None = option(
        "names of the source's keypoints in the target; see below", metavar="FILE|NAME"
    )
    img_dir: Path | None = declare.img_dir()
    split: str | None = option(
        "train, val or test: for the images of a source with one split or none (default: train)",
        metavar="NAME",
    )
    classes: Sequence[str] = option(
        "classes to take (default: all, or those of the mapping)", default=(), metavar="NAME"
    )
    predictions: Path | None = option(
        "COCO results, as test.py --out writes them, instead of the labels of a COCO file",
        metavar="FILE.json",
    )
    score: float | None = option(
        "min score of a predicted keypoint (default: 0.3)", type=number(0, 1)
    )
    image_prefix: str | None = option(
        "what Label Studio puts before an image's name (default: /data/local-files/?d=)",
        metavar="TEXT",
    )
    dry_run: bool = option("say what would be written, and write nothing", default=False)
    overwrite: bool = declare.overwrite("what exists")
    copy: bool = option("copy the images (default)", default=False, at_most_one_of="images")
    link: bool = option("hard-link the images", default=False, at_most_one_of="images")
    labels_only: bool = option("write no images", default=False, at_most_one_of="images")


def main(argv: list[str] | None = None) -> int:
    """Convert, and print what became of it; 0 when done."""
    schemes = "\n".join(f"  {name}: {text}" for name, text in SCHEMES.items())
    epilog = EPILOG.format(schemes=schemes, table=format_table())
    options = declare.parse(ConvertOptions, argv, epilog)
    from equikpt.data_tools.convert.conversion import convert, export
    from equikpt.data_tools.convert.guess import Guess, guess_format
    from equikpt.data_tools.convert.reading import Reading
    from equikpt.data_tools.convert.writer import Options
    from equikpt_runtime.files import require_writable

    if not options.dry_run:
        require_writable(options.output)
    guess = Guess(options.format_name or "", options.input, "")
    if options.format_name is None:
        guess = guess_format(options.input)
        print(guess.reason)
    source = (guess.format_name, guess.source, options.output)
    reading = Reading(
        options.img_dir, options.split, tuple(options.classes), options.predictions, options.score
    )
    common: dict[str, Any] = {"mapping": options.mapping, "reading": reading}
    common |= {"dry_run": options.dry_run, "overwrite": options.overwrite}
    target = options.target_name
    if target in TARGETS:
        if options.image_prefix is not None:
            raise ValueError(f"--image-prefix does not go with {target}, COCO JSON")
        outcome = convert(
            *source,
            target_name=target,
            link=options.link,
            labels_only=options.labels_only,
            **common,
        )
    else:
        if options.labels_only:
            raise ValueError(f"--labels-only is for COCO JSON, not {target}")
        written = Options(link=options.link, image_prefix=options.image_prefix)
        outcome = export(*source, target, options=written, **common)
    print("\n".join(outcome.lines))
    return 0
