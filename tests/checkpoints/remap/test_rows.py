from __future__ import annotations

from equikpt.checkpoints.remap.rows import TensorRow, format_rows


def test_one_line_a_tensor_and_their_numbers():
    rows = [
        TensorRow("a.weight", "loaded", (3, 4)),
        TensorRow("a.steps", "initialised", (), "not in the checkpoint"),
        TensorRow("b", "unused", (2,), "no place"),
        TensorRow("c", "loaded", (1,)),
    ]
    assert format_rows(rows) == [
        "loaded       a.weight (3, 4)",
        "initialised  a.steps (): not in the checkpoint",
        "unused       b (2,): no place",
        "loaded       c (1,)",
        "4 tensors: 2 loaded, 0 remapped, 1 initialised, 1 unused",
    ]
