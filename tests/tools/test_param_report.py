import re

PARAMETER = r"backbone\.1 +\(96, 48, 3, 3\) +backbone\.stage1\.0\.conv\.weight"


def test_shows_who_is_frozen_and_who_is_released_when(call_tool):
    printed = call_tool("param_report", "experimental/rtmpose_m_ap10k_phases", "--names")
    found = [re.split(" *[│|] *", line.strip("│| ")) for line in printed.splitlines()]
    rows = {cells[0]: cells[1:] for cells in found if len(cells) == 6}
    assert {stage: cells[2] for stage, cells in rows.items()} == {
        **{"backbone.0": "never", "backbone.1": "151", "backbone.2": "101"},
        **{"backbone.3": "1", "backbone.4": "1", "head": "1"},
    }
    assert (rows["backbone.4"][3], rows["head"][3]) == ("0.0001", "0.001")
    assert re.search(PARAMETER, printed)


def test_an_unfrozen_config_trains_from_the_first_epoch(call_tool):
    assert "never" not in call_tool("param_report", "smoke/hrnet_w32_ap10k")
