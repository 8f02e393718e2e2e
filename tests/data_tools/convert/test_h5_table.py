from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from equikpt.data_tools.convert.h5_table import read_h5_table

h5py = pytest.importorskip("h5py")
tables = pytest.importorskip("tables")

COLUMNS = pd.MultiIndex.from_product([["me"], ["nose", "tail"], ["x", "y"]])
KEY = "df_with_missing"


def table(rows: int = 2) -> pd.DataFrame:
    index = [f"labeled-data/video/é{row}.png" for row in range(rows)]
    values = np.arange(4.0 * rows).reshape(rows, 4)
    values[0, 1] = np.nan
    return pd.DataFrame(values, index, COLUMNS)


class Attack:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def attacked(path: Path, where: str, proof: Path) -> Path:
    """A table of pandas with a pickle that makes ``proof`` in one of its places."""
    table().to_hdf(path, key=KEY, mode="w")
    with tables.open_file(path, "a") as file:
        group = file.get_node(f"/{KEY}")
        if where == "attribute":
            group._v_attrs.errors = Attack(proof)
        elif where == "name of an axis":
            group.axis0_level0._v_attrs.name = Attack(proof)
        else:
            file.remove_node(group, where)
            file.create_vlarray(group, where, tables.ObjectAtom()).append(Attack(proof))
    return path


PLACES = ["block0_values", "axis1", "axis0_level1", "axis0_label0"]


@pytest.mark.parametrize("where", [*PLACES, "attribute", "name of an axis"])
def test_nothing_is_unpickled(tmp_path, where):
    proof = tmp_path / "ran"
    path = attacked(tmp_path / "a.h5", where, proof)
    if where in PLACES:
        with pytest.raises(ValueError, match=f"objects of Python in '{where}'.* give the csv"):
            read_h5_table(path)
    else:
        read_h5_table(path)
    assert not proof.exists()
    # The control: the file does run code in a reader that unpickles.
    pickle.loads(pickle.dumps(Attack(proof)))
    assert proof.exists()


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_a_table_of_pandas_is_read_as_pandas_does(tmp_path, rows):
    """Four rows are as many as columns, so that a transposed one would not show in its shape."""
    table(rows).to_hdf(tmp_path / "a.h5", key=KEY, mode="w")
    read, notes = read_h5_table(tmp_path / "a.h5")
    expected = pd.read_hdf(tmp_path / "a.h5")
    assert notes == []
    assert read.index.tolist() == expected.index.tolist()
    assert read.columns.tolist() == expected.columns.tolist()
    np.testing.assert_array_equal(read.to_numpy(), expected.to_numpy())


def test_columns_of_several_types_are_read(tmp_path):
    mixed = table()
    mixed[COLUMNS[2]] = mixed[COLUMNS[2]].astype(int)
    mixed.to_hdf(tmp_path / "a.h5", key=KEY, mode="w")
    read, _ = read_h5_table(tmp_path / "a.h5")
    np.testing.assert_array_equal(read.to_numpy(), mixed.to_numpy())


def test_of_several_tables_deeplabcuts_is_read_or_all_are_named(tmp_path):
    path = tmp_path / "a.h5"
    for key in ("one", "two"):
        table().to_hdf(path, key=key)
    with pytest.raises(ValueError, match="has the tables one, two; expected one, or df_with"):
        read_h5_table(path)
    table().to_hdf(path, key=KEY)
    assert read_h5_table(path)[1] == ["of a.h5, df_with_missing is read, and one, two is not"]


def damage_link(file) -> None:
    """An array that lies in another file."""
    del file[f"{KEY}/block0_values"]
    file[f"{KEY}/block0_values"] = h5py.ExternalLink("/etc/passwd", "/x")


def damage_code(file) -> None:
    file[f"{KEY}/axis0_label1"][0] = 9


def damage_rows(file) -> None:
    del file[f"{KEY}/axis1"]
    file[f"{KEY}/axis1"] = np.array([b"a.png"])


def damage_node(file) -> None:
    del file[f"{KEY}/axis1"]


def damage_size(file) -> None:
    """2 GB of zeros in a file of some KB."""
    del file[f"{KEY}/block0_values"]
    file[KEY].create_dataset("block0_values", (250_000_000,), "f8", chunks=(1000,))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damage_link, "in another file"),
        (damage_code, "'axis0' does not fit the rest"),
        (damage_rows, "'block0_values' does not fit the rest"),
        (damage_node, "holds no table of pandas|in another file"),
        (damage_size, "claims 250000000 values"),
    ],
)
def test_damaged_files_are_one_sentence(tmp_path, damage, said):
    table().to_hdf(tmp_path / "a.h5", key=KEY, mode="w")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        damage(file)
    with pytest.raises(ValueError, match=said):
        read_h5_table(tmp_path / "a.h5")


def test_what_is_no_fixed_table_is_refused(tmp_path):
    table().to_hdf(tmp_path / "a.h5", key=KEY, mode="w", format="table")
    with pytest.raises(ValueError, match="written as 'frame_table'"):
        read_h5_table(tmp_path / "a.h5")
    (tmp_path / "b.h5").write_bytes(b"no hdf5")
    with pytest.raises(ValueError, match="holds no table of pandas"):
        read_h5_table(tmp_path / "b.h5")
