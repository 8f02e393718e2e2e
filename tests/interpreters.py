"""Fresh interpreters, and packages for them."""

import os
import subprocess
import sys


def run_python(code: str, *search_path) -> subprocess.CompletedProcess:
    """Run code in a fresh interpreter that finds equikpt, and ``search_path`` before the rest."""
    path = os.pathsep.join(map(str, [*search_path, *filter(None, sys.path)]))
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        timeout=300,
        check=False,
    )


def write_package(folder, name: str, source: str) -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "__init__.py").write_text(source)
