"""Synthetic campaigns: made twice the same, with a truth that calibration comes nearer to."""

import csv
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from phloem.io.campaign.tile_schema import SUCCESSES
from phloem.jobs.synthetic.transect import GAP_SHARE, NORTH, SOUTH, make_cell, make_transect, read_truth
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS, POOLS, UNKNOWNS
from phloem.names import FORCING, STATUS, STREAMS


@pytest.fixture(scope="module")
def transect(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("transect")
    make_transect(folder, 3, 2, 7)
    return folder


def test_the_same_seed_makes_the_same_files(transect: Path, tmp_path: Path) -> None:
    make_transect(tmp_path, 3, 2, 7)
    names = ["T000.nc", "T001.nc", "T002.nc", "truth.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for name in names:
        assert (tmp_path / name).read_bytes() == (transect / name).read_bytes(), name


def test_another_seed_makes_another_cell() -> None:
    one, truth = make_cell("T000", 60.0, 2, 1)
    other, _ = make_cell("T000", 60.0, 2, 2)
    assert not np.array_equal(one.forcing["pr"], other.forcing["pr"])
    assert not np.array_equal(one.observations["gpp"], other.observations["gpp"], equal_nan=True)
    for name in FORCING:
        assert np.isfinite(one.forcing[name]).all()
    for name in STREAMS:
        missing = np.isnan(one.observations[name]).mean()
        assert 0.3 * GAP_SHARE < missing < 2 * GAP_SHARE
        assert np.nanstd(one.observations[name]) > 0
    assert truth.shape == (len(UNKNOWNS),)


def test_the_truth_lies_within_the_bounds_and_varies(transect: Path) -> None:
    truth = read_truth(transect)
    assert truth is not None
    assert list(truth) == ["T000", "T001", "T002"]
    for values in truth.values():
        for limits in PARAMETERS:
            assert limits.lower < values[limits.name] < limits.upper, limits.name
    with (transect / "truth.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["lcma"]) for row in rows] == [values["lcma"] for values in truth.values()]
    for limits in POOLS:
        assert all(limits.lower < float(row[f"initial_{limits.name}"]) < limits.upper for row in rows), limits.name
    lifespans = [values["leaf_lifespan"] for values in truth.values()]
    assert lifespans == sorted(lifespans), "leaves live longer in the north"
    assert lifespans[0] < lifespans[-1]


def test_no_truth_where_none_is_known(tmp_path: Path) -> None:
    assert read_truth(tmp_path) is None


def test_calibration_comes_nearer_to_the_observations(undisturbed: Path) -> None:
    with netCDF4.Dataset(undisturbed / "merged.nc") as file:
        file.set_auto_mask(False)
        assert file["cell"][:].tolist() == ["T000", "T001", "T002"]
        assert file["latitude"][:].tolist() == [SOUTH, (SOUTH + NORTH) / 2, NORTH]
        good = np.isin(file["status"][:], (*SUCCESSES, STATUS["poor_basin"]))
        assert good.all()
        trace, at = file["loss_trace"][:], file["trace_iteration"][:]
        settled = int(np.searchsorted(at, 10))
        first, last = trace[..., settled], trace[..., -1]
        assert np.isfinite(first).all()
        assert (last < first).all(), "every lane improves once the sharpness stands"
        assert np.median(first - last) > 0.1
        assert (file["best_loss"][:] <= file["loss"][:]).all()
        assert file["loss_terms"][:].sum(-1) == pytest.approx(file["loss"][:])
