"""Write data frames without formulas; see :mod:`equikpt_runtime.cells`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from equikpt_runtime.cells import DIGITS, text_cell

if TYPE_CHECKING:
    import pandas as pd


def frame_text(frame: pd.DataFrame, **options: Any) -> str:
    """Return a data frame as the text of a CSV file.

    Args:
        frame: Its columns may have several levels.
        options: Of ``to_csv``; without any, six digits a number and no index.
    """
    safe = frame.map(text_cell).rename(columns=text_cell, index=text_cell)
    return safe.to_csv(**options or dict(index=False, float_format=DIGITS))
