"""Write a trained model as one ONNX file that runs without torch."""

from equikpt.cli.commands.export import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
