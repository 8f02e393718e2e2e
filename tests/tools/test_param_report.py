from __future__ import annotations

import re


def test_shows_who_is_frozen_and_who_is_released_when(run_tool):
    done = run_tool("param_report.py", "experimental/rtmpose_m_ap10k_phases", "--names")
    assert done.returncode == 0, done.stderr
    rows = {
        cells[0]: cells[1:]
        for line in done.stdout.splitlines()
        if len(cells := [cell.strip() for cell in re.split("[│|]", line) if cell.strip()]) == 6
    }
    trains_from = {stage: cells[2] for stage, cells in rows.items()}
    assert trains_from == {
        **{"backbone.0": "never", "backbone.1": "never", "backbone.2": "151"},
        **{"backbone.3": "101", "backbone.4": "1", "head": "1"},
    }
    assert (rows["backbone.4"][3], rows["head"][3]) == ("0.0001", "0.001")
    assert re.search(
        r"backbone\.1 +\(96, 48, 3, 3\) +backbone\.stage1\.0\.conv\.weight", done.stdout
    )


def test_an_unfrozen_config_trains_from_the_first_epoch(run_tool):
    done = run_tool("param_report.py", "smoke/hrnet_w32_ap10k")
    assert done.returncode == 0, done.stderr
    assert "never" not in done.stdout


def test_a_disagreement_is_one_sentence(run_tool):
    done = run_tool(
        "param_report.py",
        *("rtmpose_m_ap10k", "--cfg-options", "model.backbone.frozen_stages=1"),
    )
    assert done.returncode == 2
    assert re.fullmatch(
        r"error: expected the backbone to be frozen up to stage -1 .*\n", done.stderr
    )
