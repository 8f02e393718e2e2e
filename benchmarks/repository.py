"""The repository, on the path: what draws the sample horses, `projects`, is not installed."""

import sys
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))
