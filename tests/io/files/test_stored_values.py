"""The one decoder of stored values, against netCDF4 and xarray where these are right, and case by case where not."""

from __future__ import annotations

from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from phloem.errors import InputError
from phloem.io.files.stored_values import OUTSIDE, SENTINEL, stored_values

_ = np.nan

KINDS = ("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8")


def decode(raw: Any, kind: str, **attributes: Any) -> np.ndarray:
    attributes = {key.replace("FillValue", "_FillValue").replace("Unsigned", "_Unsigned"): value
                  for key, value in attributes.items()}  # fmt: skip
    stored = stored_values(attributes, np.dtype(kind), "made.nc: variable x")
    return stored.decode(np.asarray(raw, kind))


def holds(kind: str) -> st.SearchStrategy[Any]:
    """Values that a type can store, those that stand for missing ones often among them."""
    if kind[0] == "f":
        width = 32 if kind == "f4" else 64
        return st.one_of(st.sampled_from([-999.0, 0.0, 1.0, 250.0, np.nan]), st.floats(-1e6, 1e6, width=width))
    limits = np.iinfo(kind)
    return st.one_of(st.sampled_from([limits.min, limits.max, 0, 1]), st.integers(limits.min, limits.max))


@pytest.mark.filterwarnings("ignore:variable 'x' has multiple fill values")
@given(st.sampled_from(KINDS), st.data())
def test_as_netcdf4_and_xarray_where_these_are_right(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    """Attributes of the stored type, packed ranges: netCDF4 masks and scales as the conventions say; so does xarray."""
    raw = np.array(data.draw(st.lists(holds(kind), min_size=1, max_size=12)), kind)
    attributes: dict[str, Any] = {}
    for key in ("_FillValue", "missing_value"):
        if data.draw(st.booleans()):
            attributes[key] = np.dtype(kind).type(data.draw(holds(kind)))
    scaled = data.draw(st.booleans())
    if scaled:
        attributes |= {"scale_factor": 0.25, "add_offset": data.draw(st.sampled_from([0.0, -3.5, 100.0]))}
    path = tmp_path_factory.getbasetemp() / "decoded.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("n", len(raw))
        variable = file.createVariable("x", kind, ("n",), fill_value=attributes.get("_FillValue"))
        variable.set_auto_maskandscale(False)
        variable.setncatts({key: value for key, value in attributes.items() if key != "_FillValue"})
        variable[:] = raw
    found = stored_values(attributes, np.dtype(kind), "x").decode(raw)
    with netCDF4.Dataset(path) as file:
        theirs = np.ma.filled(np.ma.asarray(file["x"][:]).astype(np.float64), np.nan)
    beyond = np.isfinite(theirs) & ((np.abs(raw.astype(float)) >= 1e30) | (raw.astype(float) == -9999.0))
    default = np.dtype(kind).type(netCDF4.default_fillvals[kind])
    if "_FillValue" not in attributes and kind.endswith("1"):
        beyond |= raw == default  # netCDF4 takes the default fill of unsigned bytes for missing
    np.testing.assert_allclose(found[~beyond], theirs[~beyond], rtol=1e-12, equal_nan=True)
    if "_FillValue" in attributes or not (raw == default).any():  # xarray knows no default fills
        with xr.open_dataset(path) as opened:
            values = opened["x"].values.astype(np.float64)
        np.testing.assert_allclose(found[~beyond], values[~beyond], rtol=2e-6, atol=2e-5, equal_nan=True)


@pytest.mark.parametrize(
    ("raw", "kind", "attributes", "wanted"),
    [
        ([1e20, 2], "f4", {"missing_value": np.float64(1e20)}, [np.nan, 2]),
        ([-999.99, 2], "f4", {"missing_value": np.float64(-999.99)}, [np.nan, 2]),
        ([-999.99, 2], "f8", {"missing_value": np.float32(-999.99)}, [np.nan, 2]),
        ([-9999, 2], "f4", {"missing_value": "-9999."}, [np.nan, 2]),
        ([7, 2], "f4", {"missing_value": "7.0f"}, [np.nan, 2]),
        ([-999, -1, 2], "i2", {"missing_value": np.array([-999.0, -1.0])}, [np.nan, np.nan, 2]),
        ([-32767, 2], "i2", {"scale_factor": 0.5}, [np.nan, 1]),
        ([-32767, 2], "i2", {"scale_factor": 0.5, "missing_value": np.int16(-1)}, [np.nan, 1]),
        ([-32767, 2], "i2", {"FillValue": np.int16(-1)}, [-32767, 2]),
        ([-127, 2], "i1", {}, [-127, 2]),
        ([9.969209968386869e36, 2], "f4", {}, [np.nan, 2]),
        ([np.inf, 2], "f8", {}, [np.nan, 2]),
        ([-9999, 2], "f8", {}, [np.nan, 2]),
        ([-9999, 2], "i2", {"scale_factor": 0.01}, [-99.99, 0.02]),
        ([-1, -56, 5], "i1", {"Unsigned": "true", "FillValue": np.int8(-1)}, [np.nan, 200, 5]),
        ([255, 200, 5], "u1", {"Unsigned": "false"}, [-1, -56, 5]),
        ([10, 200], "i2", {"scale_factor": "0.02"}, [0.2, 4]),
        ([10, 200], ">i2", {"scale_factor": np.float32(0.5), "add_offset": np.float64(1)}, [6, 101]),
        ([-8888, 200, 6000], "i2", {"scale_factor": 0.02, "valid_range": np.array([0, 5000], "i2")}, [_, 4, _]),
        ([-8888, 200, 6000], "i2", {"scale_factor": 0.02, "valid_range": np.array([0, 5000], "i4")}, [_, 4, _]),
        ([-2000, 500, 7000], "i2", {"scale_factor": 0.01, "valid_range": np.array([-20.0, 60.0])}, [-20, 5, np.nan]),
        ([-2000, 500], "i2", {"scale_factor": np.float32(0.01), "valid_max": 60.0}, [-20, 5]),
        ([-8888, 0.1], "f4", {"valid_min": np.float32(0), "valid_max": 0.1}, [np.nan, np.float32(0.1)]),
        ([-1, 3], "f4", {"valid_range": "0, 2"}, [np.nan, np.nan]),
        ([-3, 100], "i1", {"Unsigned": "true", "valid_max": np.int8(-6)}, [np.nan, 100]),
        ([5, 7], "u4", {"valid_range": np.array([6, 2**32 - 1], "u4")}, [np.nan, 7]),
    ],
)  # fmt: skip
def test_what_files_do(raw: list[float], kind: str, attributes: dict[str, Any], wanted: list[float]) -> None:
    np.testing.assert_allclose(decode(raw, kind, **attributes), wanted, rtol=1e-7)


def test_what_no_fill_names_is_counted() -> None:
    stored = stored_values({"valid_min": 0.0, "missing_value": -1.0}, np.dtype("f8"), "x")
    for _ in range(2):
        stored.decode(np.array([-1.0, -2.0, -9999.0, 4.0]))
    assert stored.counts == {SENTINEL: 2, OUTSIDE: 2}
    assert stored.told() == [
        "2 values of -9999, which the file does not declare, count as missing",
        "2 values outside its valid range (valid_min = 0) count as missing",
    ]


def test_texts_that_are_no_numbers() -> None:
    stored = stored_values({"valid_range": "0-100", "missing_value": "none"}, np.dtype("f4"), "x")
    assert stored.decode(np.array([200.0], "f4")).tolist() == [200]
    assert stored.told() == [
        "missing_value = 'none' is not understood, and not used",
        "valid_range = '0-100' is not understood, and not used",
    ]
    with pytest.raises(InputError, match=r"made.nc: variable x: scale_factor = 'a half' is not a number"):
        decode([1], "i2", scale_factor="a half")
