"""Train a model: `python tools/train.py configs/rtmpose_m_ap10k.py`."""

from equikpt.cli.commands.train import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
