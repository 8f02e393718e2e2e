from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from equikpt.cli import options as declare
from equikpt.cli.options import ABOVE_0, argument, number, option, required, whole
from equikpt.data_tools.convert import writable

EPILOG = """
DIR is then all that a labelling tool needs:
  DIR/images/         the images; frames of videos as VIDEO_FRAME.png
  DIR/suggested.json  predictions to correct, as labels in COCO JSON
  DIR/FORMAT/         the same for a labelling tool, with --to
  DIR/sheet.jpg       the images with the predictions, and why each was chosen
  DIR/suggested.csv   the same as a table
Correct the labels, then: equikpt init PROJECT --add EXPORT, and equikpt train PROJECT --from-last.
A run that was stopped is gone on with by the same command.
"""


@dataclass(frozen=True, kw_only=True)
class SuggestOptions(declare.FindsBoxes):
    """Choose images, or frames of videos, whose labels would teach a trained model most.

    equikpt suggest mice videos/ --count 50 --out to_label --to label-studio
    """

    config: str = declare.config_argument()
    source: Sequence[Path] = argument(
        "images, videos, and folders of either", metavar="IMAGE|VIDEO|FOLDER"
    )
    out: Path = required("folder to write", metavar="DIR")
    count: int = option("images to choose", default=50, type=whole(1))
    every: float = option(
        "seconds between the frames of a video that are looked at",
        default=0.5,
        type=number(ABOVE_0),
        metavar="SECONDS",
    )
    to: Literal[writable()] | None = option(  # type: ignore[valid-type]
        "labelling tool to write the predictions for as well"
    )
    checkpoint: Path | None = declare.checkpoint_option()
    device: str | None = declare.device()
    overwrite: bool = declare.overwrite("what is in DIR")


def main(argv: list[str] | None = None) -> int:
    """Choose and write; 0 when done."""
    options = declare.parse(SuggestOptions, argv, EPILOG)
    for line in suggest(options):
        print(line)
    return 0


def suggest(options: SuggestOptions) -> list[str]:
    """Choose images and write them; returns lines to show.

    Raises:
        FileExistsError: The folder has suggestions, or those of other settings.
        FileNotFoundError: Config, checkpoint, labels or images are missing.
        OSError: A video that cannot be read.
        ValueError: A model of whole images, or no image that is worth a label.
    """
    from equikpt.apis.detectors import box_source, load_detector
    from equikpt.config_checks.options import load_config
    from equikpt.core.configs import work_dir_of
    from equikpt.core.project import find_checkpoint
    from equikpt.data_tools.convert.conversion import export
    from equikpt.structures.ground_truth import Labels
    from equikpt.suggestions import suggest as steps
    from equikpt.suggestions.candidates import Sources
    from equikpt.suggestions.collecting import Chunks, collect
    from equikpt.suggestions.evidence import Judge
    from equikpt.suggestions.labelled import Labelled
    from equikpt_runtime.files import require_writable

    if options.detector and options.ann_file:
        raise ValueError("expected boxes of --ann-file or of --detector, got both; leave one out")
    require_writable(options.out)
    sources = Sources(options.source, options.every)
    steps.check_out(options.out, sources, options.overwrite)
    cfg = load_config(options.config)
    checkpoint = find_checkpoint(options.checkpoint or work_dir_of(cfg))
    judge = Judge(cfg, checkpoint, steps.other_checkpoint(checkpoint), options.device)
    detector = labels = None
    if options.detector:
        names = ("detector", "detector_checkpoint", "detector_class", "detector_score", "device")
        detector = load_detector(*(getattr(options, name) for name in names))
    elif options.ann_file:
        labels = Labels(options.ann_file, judge.names)
    said = ("every", "detector", "detector_class", "detector_score")
    files = [each.checkpoint for each in judge.predictors]
    files += filter(None, (options.detector_checkpoint, options.ann_file))
    chosen_by = {name: str(getattr(options, name)) for name in said}
    settings = steps.settings_of(cfg, files, sources, **chosen_by)
    if options.overwrite:  # what is no more than begun
        shutil.rmtree(options.out / steps.CHUNKS, ignore_errors=True)
    chunks = Chunks(options.out / steps.CHUNKS, settings)
    read = judge.predictors[0].read
    collection = collect(sources, judge, read, box_source((), detector, labels), chunks)
    labelled = Labelled.of(cfg, judge.predictors[0])
    chosen, line = steps.choose_images(collection, labelled, judge.names, options.count)
    for name in (steps.IMAGES, options.to):  # of earlier suggestions, as check_out saw to
        if name:
            shutil.rmtree(options.out / name, ignore_errors=True)
    steps.write(options.out, chosen, collection, sources, read, judge.metainfo)
    lines = [line, f"reasons: {steps.summary(chosen)}", f"look at {options.out / steps.SHEET}"]
    if options.to:
        source = options.out / steps.LABELS
        export("coco", source, options.out / options.to, options.to)
        lines.append(f"for {options.to}: {options.out / options.to}")
    shutil.rmtree(options.out / steps.CHUNKS)
    return [*lines, f"next: correct the labels, then: equikpt init {options.config} --add EXPORT"]
