"""Record of a run's starts beside its curves: ``run.json`` in the work dir."""

from __future__ import annotations

from pathlib import Path

import msgspec

from equikpt.core.files import write_bytes

FILE = "run.json"
FORMAT = 1


class StartRecord(msgspec.Struct):
    """Facts about one start of a run that its scalars do not hold.

    Steps are counted over the whole run, seconds from the start's ``folder`` on, whose name is the
    time at which it began.

    Args:
        folder: Name of the start's folder, ``<date>_<time>``.
        resumed_step: Step after which it goes on; 0 for a fresh start.
        training_s: Seconds until its first step.
        step: Steps done.
        seconds: Seconds until the newest write.
        steps_per_epoch: None in a run by steps.
        max_epochs: None in a run by steps.
        max_steps: Step at which the run is over.
        loop: ``"train"`` or ``"val"``, in which it was at the newest write.
        position: Steps or batches done, and their number, of an epoch or a validation.
        validations: Step, seconds at its begin and seconds at its end of each validation.
        longest_gaps_s: The longest silences between two steps or batches, at most two.
        checkpoints: Names of the checkpoint files.
        seed: Of the random generators.
        environment: Machine and versions by title, as they are shown.
    """

    folder: str
    resumed_step: int = 0
    training_s: float = 0.0
    step: int = 0
    seconds: float = 0.0
    steps_per_epoch: int | None = None
    max_epochs: int | None = None
    max_steps: int | None = None
    loop: str = "train"
    position: tuple[int, int] | None = None
    validations: list[tuple[int, float, float]] = msgspec.field(default_factory=list)
    longest_gaps_s: list[float] = msgspec.field(default_factory=list)
    checkpoints: list[str] = msgspec.field(default_factory=list)
    seed: int | None = None
    environment: dict[str, str] = msgspec.field(default_factory=dict)


class RunRecord(msgspec.Struct):
    """Every start of a run in its order."""

    starts: list[StartRecord] = msgspec.field(default_factory=list)
    format: int = FORMAT


def read_record(work_dir: Path) -> RunRecord:
    """Read ``run.json``; a file that is missing, damaged or of another format has no starts."""
    try:
        record = msgspec.json.decode((work_dir / FILE).read_bytes(), type=RunRecord)
    except (OSError, msgspec.DecodeError):
        return RunRecord()
    return record if record.format == FORMAT else RunRecord()


def write_record(work_dir: Path, record: RunRecord) -> None:
    """Replace ``run.json`` as a whole.

    Raises:
        OSError: The disk is full, or the folder may not be written.
    """
    write_bytes(work_dir / FILE, msgspec.json.encode(record))
