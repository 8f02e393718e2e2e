from __future__ import annotations

import hashlib
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from equikpt.checkpoints.zoo import Checkpoint


@pytest.fixture(scope="module")
def published() -> str:
    """What MMPose's model index and configs and MMEngine's model lists say."""
    patterns = {"mmengine": ["hub/*.json"], "mmpose": [".mim/**/*.py", ".mim/**/*.yml"]}
    folders = {name: Path(find_spec(name).origin).parent for name in patterns}
    files = [f for name, each in patterns.items() for p in each for f in folders[name].rglob(p)]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    # configs write an address as two strings, one below the other
    return re.sub(r"""['"][^\S\n]*\n\s*['"]""", "", text)


@pytest.fixture
def row() -> Checkpoint:
    content = b"weights"
    digest = hashlib.sha256(content).hexdigest()
    url = f"http://127.0.0.1/net-{digest[:8]}_20260101.pth"
    return Checkpoint("net", url, "ap10k", "a network", "no data")
