"""A merged product as xarray, whose file nobody holds open."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from phloem.errors import WorkError
from phloem.io.files.atomic import write_atomically
from phloem.io.files.netcdf import write_netcdf
from phloem.io.merge.lazy_product import open_product


def write_product(path: Path, cells: int = 4, last: float = 11.0) -> Path:
    """Write a file of what merged products are made of: texts, packed and missing numbers, scalars, attributes."""

    def fill(file):
        file.title = "made up"
        file.createDimension("cell", cells)
        file.createDimension("member", 3)
        names = file.createVariable("cell", str, ("cell",))
        names[...] = np.array([f"zelle-ä{n}" for n in range(cells)], dtype=object)
        file.createDimension("letters", 9)
        letters = file.createVariable("label", "S1", ("member", "letters"))
        letters.set_auto_chartostring(False)
        letters[...] = np.array([b"one", b"two", "zwölf".encode()], "S9").view("S1").reshape(3, 9)
        letters._Encoding = "utf-8"
        loss = file.createVariable("loss", "f4", ("cell", "member"), fill_value=-1.0, zlib=True)
        loss.units = "1"
        values = np.arange(cells * 3.0).reshape(cells, 3)
        values[1, 1], values[-1, -1] = -1.0, last
        loss[...] = values
        status = file.createVariable("status", "i1", ("cell", "member"))
        status.setncatts({"flag_values": np.array([0, 1], "i1"), "flag_meanings": "good bad"})
        status[...] = np.eye(cells, 3)
        file.createVariable("crs", "i4", ()).grid_mapping_name = "latitude_longitude"
        time = file.createVariable("time", "i4", ("member",))
        time.units = "days since 2001-01-01"
        time[...] = [0, 31, 59]

    write_netcdf(path, fill)
    return path


@pytest.fixture
def product(tmp_path):
    return write_product(tmp_path / "merged.nc")


def test_a_product_reads_as_xarray_reads_it(product):
    with xr.open_dataset(product) as file:
        expected = file.load()
    found = open_product(product)
    chosen = {"cell": [2, 0], "member": slice(0, 3, 2)}
    xr.testing.assert_identical(found.isel(chosen), expected.isel(chosen))
    xr.testing.assert_identical(found["loss"][1, 1], expected["loss"][1, 1])
    assert np.isnan(found["loss"][1, 1])
    xr.testing.assert_identical(found.load(), expected)
    assert found["loss"].dtype == expected["loss"].dtype


def test_values_are_read_when_they_are_looked_at(product):
    found = open_product(product)
    for name in ("loss", "status"):
        assert not found[name].variable._in_memory
    assert found.sizes == {"cell": 4, "member": 3}


def test_a_product_written_anew_is_not_mixed_with_the_old_one(product):
    found = open_product(product)
    assert float(found["loss"].isel(cell=0, member=2)) == 2
    write_product(product, last=99.0)
    with pytest.raises(WorkError, match=r"merged\.nc was merged anew since it was opened: open it again"):
        found["loss"].values  # noqa: B018
    assert float(open_product(product)["loss"][-1, -1]) == 99


def test_a_damaged_product_is_refused_with_the_command(product):
    write_atomically(product, product.read_bytes()[:500])
    with pytest.raises(WorkError, match=f"cannot be read .*; `phloem merge {product.parent}` writes it"):
        open_product(product)
    with pytest.raises(WorkError, match=r"nothing\.nc cannot be read"):
        open_product(product.with_name("nothing.nc"))


def test_threads_read_one_after_the_other(product):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: open_product(product)["loss"].sum().item(), range(40)))
    assert set(found) == {float(np.arange(12).sum() - 4)}
