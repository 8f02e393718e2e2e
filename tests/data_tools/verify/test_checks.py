from __future__ import annotations

import random

from equikpt.data_tools.verify.checks import CHECKS, COCO, ROWS, SEVERITIES, Fault, worst_first
from equikpt.data_tools.verify.run import FAMILIES


def test_every_row_is_whole():
    assert len(CHECKS) == len(ROWS)
    for check in CHECKS.values():
        assert check.severity in SEVERITIES
        assert check.family in {family.name for family in FAMILIES}
        # what coco_checks or image_checks find comes with its own advice
        assert check.fix or check.family in ("structure", "pictures")
        assert check.title


def test_errors_come_first_and_then_what_is_surest():
    faults = [
        Fault("repeated_id", "", score=0),
        Fault("labelled_at_origin", "", score=2),
        Fault("labelled_at_origin", "", score=1),
        Fault("swapped_sides", "", score=99),
        Fault("near_duplicate", "", score=100),
    ]
    mixed = random.Random(0).sample(faults, len(faults))
    assert worst_first(mixed) == faults


def test_a_fault_may_bring_its_own_advice():
    assert Fault("repeated_id", "", fix="this").to_do == "this"
    assert Fault("swapped_sides", "").to_do == CHECKS["swapped_sides"].fix != COCO
