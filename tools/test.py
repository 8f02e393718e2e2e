"""Test a model: `python tools/test.py configs/rtmpose_m_ap10k.py work_dirs/…/best.pth`."""

from equikpt.cli.commands.test import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
