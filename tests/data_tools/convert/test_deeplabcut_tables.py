"""Tables of h5 files; those of csv files are tested with DeepLabCut's reader."""

import os
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from equikpt.data_tools.convert.deeplabcut_tables import KEY, read_h5_table

h5py = pytest.importorskip("h5py")
tables = pytest.importorskip("tables")

COLUMNS = pd.MultiIndex.from_product([["me"], ["nose", "tail"], ["x", "y"]])


def table(rows: int = 2) -> pd.DataFrame:
    index = [f"labeled-data/video/é{row}.png" for row in range(rows)]
    values = np.arange(4.0 * rows).reshape(rows, 4)
    values[0, 1] = np.nan
    return pd.DataFrame(values, index, COLUMNS)


@pytest.fixture
def h5(tmp_path):
    """A file with DeepLabCut's table."""
    table().to_hdf(tmp_path / "a.h5", key=KEY, mode="w")
    return tmp_path / "a.h5"


class Attack:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


ARRAYS = ["block0_values", "axis1", "axis0_level1", "axis0_label0"]


@pytest.mark.parametrize("where", [*ARRAYS, "attribute", "name of an axis"])
def test_nothing_is_unpickled(h5, where):
    proof = h5.with_name("ran")
    with tables.open_file(h5, "a") as file:
        group = file.get_node(f"/{KEY}")
        if where == "attribute":
            group._v_attrs.errors = Attack(proof)
        elif where == "name of an axis":
            group.axis0_level0._v_attrs.name = Attack(proof)
        else:
            file.remove_node(group, where)
            file.create_vlarray(group, where, tables.ObjectAtom()).append(Attack(proof))
    if where in ARRAYS:
        with pytest.raises(ValueError, match=f"objects of Python in '{where}'.* give the csv"):
            read_h5_table(h5)
    else:
        read_h5_table(h5)
    assert not proof.exists()
    # The control: the file does run code in a reader that unpickles.
    pickle.loads(pickle.dumps(Attack(proof)))
    assert proof.exists()


@pytest.mark.parametrize("mixed", [False, True], ids=["floats", "and integers"])
@pytest.mark.parametrize("rows", [1, 2, 4])
def test_a_table_of_pandas_is_read_as_pandas_does(h5, rows, mixed):
    """Four rows are as many as columns, so that a transposed one would not show in its shape."""
    written = table(rows)
    if mixed:
        written[COLUMNS[2]] = written[COLUMNS[2]].astype(int)
    written.to_hdf(h5, key=KEY, mode="w")
    found, notes = read_h5_table(h5)
    expected = pd.read_hdf(h5)
    assert notes == []
    assert found.index.tolist() == expected.index.tolist()
    assert found.columns.tolist() == expected.columns.tolist()
    np.testing.assert_array_equal(found.to_numpy(), expected.to_numpy())


def test_of_several_tables_deeplabcuts_is_read_or_all_are_named(tmp_path):
    path = tmp_path / "a.h5"
    for key in ("one", "two"):
        table().to_hdf(path, key=key)
    with pytest.raises(ValueError, match="df_with"):
        read_h5_table(path)
    table().to_hdf(path, key=KEY)
    assert read_h5_table(path)[1] == ["of a.h5, df_with_missing is read, and one, two is not"]


def linked_array(group) -> None:
    """An array that lies in another file."""
    del group["block0_values"]
    group["block0_values"] = h5py.ExternalLink("/etc/passwd", "/x")


def linked_table(group) -> None:
    group.file.attrs["pandas_type"] = "frame"
    group.file["other"] = h5py.ExternalLink("/etc/passwd", "/x")
    del group.file[KEY]


def wrong_code(group) -> None:
    group["axis0_label1"][0] = 9


def fewer_rows(group) -> None:
    del group["axis1"]
    group["axis1"] = np.array([b"a.png"])


def no_rows(group) -> None:
    del group["axis1"]


def huge(group) -> None:
    """2 GB of zeros in a file of some KB."""
    del group["block0_values"]
    group.create_dataset("block0_values", (250_000_000,), "f8", chunks=(1000,))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (linked_array, "in another file"),
        (linked_table, "has the tables of no name"),
        (wrong_code, "'axis0' does not fit the rest"),
        (fewer_rows, "'block0_values' does not fit the rest"),
        (no_rows, "holds no table of pandas|in another file"),
        (huge, "claims 250000000 values"),
    ],
)
def test_damaged_files_are_one_sentence(h5, damage, said):
    with h5py.File(h5, "a") as file:
        damage(file[KEY])
    with pytest.raises(ValueError, match=said):
        read_h5_table(h5)


def test_what_is_no_fixed_table_is_refused(h5):
    table().to_hdf(h5, key=KEY, mode="w", format="table")
    with pytest.raises(ValueError, match="'frame_table'"):
        read_h5_table(h5)
    h5.write_bytes(b"no hdf5")
    with pytest.raises(ValueError, match="holds no table of pandas"):
        read_h5_table(h5)
