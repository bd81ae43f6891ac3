"""Cells as products have them become the golden patch; what cannot be a patch is refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from phloem.kernels.models.dalec_monthly.forcing_terms import weather
from phloem.kernels.models.dalec_monthly.mode_switches import MODES
from phloem.kernels.network.parameter_network import hemisphere
from phloem.kernels.network.patch_cells import FORCING, MonthAxis, PatchCells, patch_of_cells
from phloem.kernels.network.patch_labels import STREAMS
from phloem.kernels.network.set_ups import GROUPS, columns
from tests.support.kernels.global_oracle import LABELS, ROWS, VALID, arrays, golden_patch

MONTHS = MonthAxis(np.datetime64("2001-01"), 276)
COLUMNS = columns(list(GROUPS))
OWN = {"tasmin": "t_min", "tasmax": "t_max", "rsds": "shortwave", "vpd": "vpd", "pr": "precipitation",
       "burned_area": "burned_fraction", "co2": "co2"}  # fmt: skip


@pytest.fixture(scope="module")
def gold(data_dir: Path) -> dict[str, np.ndarray]:
    return arrays(data_dir / "oracle/global_patch.nc")


@pytest.fixture(scope="module")
def cells(gold: dict[str, np.ndarray]) -> PatchCells:
    """The golden patch as products have it: NaN where there is no label."""
    labels, weights = {}, {}
    for name in STREAMS:
        own = LABELS.get(name, name)
        label, weight = gold[f"label_{own}"].T, gold[f"mask_{own}"].T
        labels[name] = np.where(weight > 0, label, np.nan)
        weights |= {name: weight} if name.startswith("tower") else {}
    return PatchCells(
        latitude=gold["latitude"],
        predictors=dict(zip(COLUMNS[1:], gold["predictors"].T[1:], strict=True)),
        forcing={name: gold[own].T for name, own in OWN.items()},
        reference=(gold["mean_temperature"], gold["mean_precipitation"]),
        labels=labels,
        weights=weights,
    )


def statistics(cells: PatchCells) -> dict[str, tuple[float, float]]:
    """Such that the golden predictors, which are standardised, stay as they are."""
    return dict.fromkeys(COLUMNS, (0.0, 1.0))


class TestMonthAxis:
    def test_those_of_the_golden_files(self, gold: dict[str, np.ndarray]) -> None:
        assert MONTHS.lengths[[0, 1, 37]].tolist() == [31, 28, 29]
        assert MONTHS.lengths.sum() == 8400
        assert MONTHS.time[:2].tolist() == [15.0, 44.5]
        assert MONTHS.doy[[0, 1, 12]].tolist() == [16.0, 45.5, 16.0]
        assert (np.abs(MONTHS.time - gold["days"]) < 2.7).all(), "that file's months are of equal lengths"
        assert (np.abs(MONTHS.doy - gold["doy"]) < 2).all()

    def test_a_record_begins_in_january(self) -> None:
        with pytest.raises(ValueError, match="months from 2001-04 on: a record begins in January"):
            MonthAxis(np.datetime64("2001-04"), 12)


@pytest.mark.parametrize("mode", ["strict", "compat"])
def test_it_is_the_golden_patch(data_dir: Path, cells: PatchCells, gold: dict[str, np.ndarray], mode: str) -> None:
    """With that file's own days, which are whole numbers."""

    class Whole(MonthAxis):
        time = gold["days"]
        doy = gold["doy"]

    found = patch_of_cells(cells, Whole(*vars(MONTHS).values()), statistics(cells), ROWS, mode=mode, dtype=np.float64)
    wanted = golden_patch(data_dir / "oracle", mode).patch()
    np.testing.assert_array_equal(found.predictors[:VALID, 1:], wanted.predictors[:VALID, 1:])
    np.testing.assert_array_equal(found.predictors[VALID:], 0)
    np.testing.assert_array_equal(found.predictors[:VALID, 0], hemisphere(gold["latitude"]))
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for one, other in zip(found.tables, wanted.tables, strict=True):
        np.testing.assert_array_equal(one, other)
    for name in STREAMS:
        one, other = getattr(found.labels, name), getattr(wanted.labels, name)
        np.testing.assert_array_equal(one.weight, other.weight)
        np.testing.assert_array_equal(one.label, np.where(other.weight > 0, other.label, 0))
    np.testing.assert_array_equal(found.labels.valid, wanted.labels.valid)


def test_cells_at_once_are_cells_one_by_one(cells: PatchCells) -> None:
    found = patch_of_cells(cells, MONTHS, statistics(cells), ROWS, dtype=np.float64).tables.weather
    for row in (0, 7, VALID - 1):
        forcing = {name: cells.forcing[name][:, row] for name in FORCING} | {"co2": cells.forcing["co2"]}
        reference = (float(cells.reference[0][row]), float(cells.reference[1][row]))
        alone = weather(
            MONTHS.time, MONTHS.doy, float(cells.latitude[row]), forcing, reference, MONTHS.lengths,
            MODES["strict"],
        )  # fmt: skip
        np.testing.assert_array_equal(found[:, : len(alone), row], np.stack(alone, 1))


def test_streams_that_there_are_not_have_no_weight(cells: PatchCells) -> None:
    few = replace(cells, labels={"lai": cells.labels["lai"]}, weights={})
    labels = patch_of_cells(few, MONTHS, statistics(cells), ROWS).labels
    assert np.asarray(labels.lai.weight).any()
    assert not any(np.asarray(getattr(labels, name).weight).any() for name in STREAMS if name != "lai")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"labels": {"lia": np.ones((276, VALID))}}, "streams of labels lia: valid are sif, nbe, lai"),
        ({"weights": {"tower_gpp": np.full((276, VALID), -1.0)}}, "weights of tower_gpp: each is a number from 0 on"),
        ({"predictors": "MAP"}, "predictor MAP is not finite in all cells"),
        ({"forcing": "vpd"}, "forcing vpd is not finite in all months and cells"),
        ({"forcing": "co2"}, "forcing co2 is not finite"),
    ],
)
def test_refusals(cells: PatchCells, change: dict[str, Any], says: str) -> None:
    ((key, value),) = change.items()
    if isinstance(value, str):
        spoilt = np.array(getattr(cells, key)[value])
        spoilt[3] = np.nan
        value = {**getattr(cells, key), value: spoilt}
    with pytest.raises(ValueError, match=says):
        patch_of_cells(replace(cells, **{key: value}), MONTHS, statistics(cells), ROWS)


def test_a_patch_has_room_for_its_cells_and_no_constant_predictor(cells: PatchCells) -> None:
    with pytest.raises(ValueError, match="200 cells for a patch of 100 rows"):
        patch_of_cells(cells, MONTHS, statistics(cells), 100)
    with pytest.raises(ValueError, match="predictors clay: the same in all training cells"):
        patch_of_cells(cells, MONTHS, statistics(cells) | {"clay": (20.0, 0.0)}, ROWS)
