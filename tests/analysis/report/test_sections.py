"""The parts of the report that need no browser: cells and their days, trajectories, tables, attribution, benchmarks."""

import copy
import csv
import dataclasses
import os
import re
import shutil
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from phloem.analysis.benchmark.pairs import Pairs
from phloem.analysis.benchmark.result_files import MAX_LISTED_ROWS, write_benchmark
from phloem.analysis.report.benchmark import benchmark_maps
from phloem.analysis.report.files import ReportFiles, slug
from phloem.analysis.report.page import Contents, write_report
from phloem.analysis.report.sections import facts_section
from phloem.analysis.report_data.cell_sets import nanmedian, quantities
from phloem.errors import InputError, WorkError
from phloem.io.merge.at_bounds import without_bounds
from phloem.io.merge.member_statistics import circular_median_and_rcv, median_and_rcv
from phloem.jobs.analyse.report import ATTRIBUTION, BENCHMARK, found_in
from phloem.kernels.calibrations.dalec_daily.derived_quantities import derive
from phloem.names import PERIOD
from tests.support.analysis.report_samples import (
    attribution,
    benchmark,
    facts,
    forward_runs,
    grid_cells,
    grid_contents,
)
from tests.support.kernels.dalec_names import FIRE_PARAMETERS, PARAMETERS, TOWERS


def text_of(page):
    source = page.read_text(encoding="utf-8").split('<script type="application/json"')[0]
    return " ".join(re.sub(r"<[^>]+>", " ", source.split("</style>")[1]).split())


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@dataclasses.dataclass
class Told:
    """A report with everything in it, which several tests look at.

    Attributes:
        folder: where it and what it tells of lie.
        benchmarked: what it says of benchmarks.
        page: its page.
    """

    contents: Contents
    folder: Path
    benchmarked: dict
    page: Path

    @property
    def text(self):
        return text_of(self.page)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Attributed, benchmarked, and with attempts that failed."""
    folder = tmp_path_factory.mktemp("told")
    went = facts(
        experiment="baseline",
        hours={"committed": 1.25, "out of memory": 0.5},
        failures={"bug": {"attempts": 3, "tiles": 2, "mend": "report the traceback"}},
        set_aside=[{"cell": "N1", "class": "hang", "message": "no answer <for> an hour"}],
        versions={"jax": "1.2.3"},
    )
    contents = grid_contents(6, 8, facts=[went], attribution={"baseline": (folder, attribution())})
    found = benchmark(folder / "benchmark", contents.sets[0])
    contents = dataclasses.replace(contents, benchmark={"baseline": (folder / "benchmark", found)})
    return Told(contents, folder, found, write_report(contents, folder / "report"))


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Neither attributed nor benchmarked."""
    contents, folder = grid_contents(6, 8), tmp_path_factory.mktemp("bare")
    return contents, write_report(contents, folder)


def test_all_parameters_but_those_of_fire_are_offered():
    names = [one.key for one in quantities(TOWERS)]
    assert len(names) == 32
    assert set(PARAMETERS) - set(names) == set(FIRE_PARAMETERS)
    assert [one.derived for one in quantities(TOWERS)].count(True) == 6
    assert len(quantities(TOWERS, parameters=False)) == 6


def test_spread_is_the_products_statistics_over_good_members():
    cells = grid_cells(6, 7)
    assert not cells.good.all()
    for one in quantities(TOWERS):
        spread = cells.spread(one)
        if one.derived:
            every = np.stack([np.where(cells.good, cells.parameter(name), np.nan) for name in PARAMETERS], -1)
            values = derive(every)[one.key.removeprefix("derived_")]
        else:
            values = np.where(cells.good, cells.parameter(one.key), np.nan)
        statistics = circular_median_and_rcv if one.circular else median_and_rcv
        median, rcv = statistics(values, np.isfinite(values))
        np.testing.assert_allclose(np.mod(spread.median, PERIOD) if one.circular else spread.median, median, rtol=1e-6)
        if not one.derived:
            rcv = without_bounds(rcv, values, TOWERS.parameter(one.key))
        np.testing.assert_allclose(spread.rcv, rcv, rtol=1e-5)
        known = np.isfinite(median)
        assert (spread.low[known] <= spread.median[known]).all()
        assert (spread.high[known] >= spread.median[known]).all()
        assert np.isnan(spread.low[~known]).all()


def test_days_around_new_year_are_unwrapped_together():
    cells = grid_cells(2, 2)
    days = np.array([[364, 365, 1, 2, 3], [360, 361, 362, 363, 364], [5, 6, 7, 8, 9], [100, 100, 100, 100, 100]], float)
    status = np.zeros((4, 5), int)
    status[3, 2:] = 2
    made = dataclasses.replace(cells, status=status, parameter=lambda name: days)
    spread = made.spread(next(one for one in quantities(TOWERS) if one.circular))
    np.testing.assert_allclose(np.mod(spread.median[:3], PERIOD), [1, 362, 7])
    assert np.ptp(spread.median[:3]) == pytest.approx(PERIOD - 362 + 7)
    np.testing.assert_allclose(spread.high[:3] - spread.low[:3], [4.25, 4, 4])
    assert np.isnan(spread.median[3])


def test_medians_ignore_what_is_missing():
    values = np.array([[1, np.nan, 3, 2], [np.nan] * 4, [5, np.nan, np.nan, np.nan], [1, 2, 3, 4]])
    np.testing.assert_array_equal(nanmedian(values), [2, np.nan, 5, 2.5])
    assert nanmedian(np.empty((3, 0))).shape == (3,)


@pytest.mark.parametrize(("cells", "curves"), [(10, 16), (240, 16), (60_000, 6), (60_000, 16), (10**6, 16)])
def test_ages_fit_the_page_and_begin_densely(cells, curves):
    ages = forward_runs(grid_cells(2, 2), ("baseline",)).ages(cells, curves)
    assert ages[0] == 1
    assert ages[-1] == 100
    assert (np.diff(ages) > 0).all()
    assert len(ages) == 100 or len(ages) <= max(8, 4_000_000 / (cells * curves))
    assert len(ages) >= 7


def test_the_tables_hold_what_the_maps_show(bare):
    contents, page = bare
    cells, folder = contents.sets[0], page.parent
    medians, rcv, table = (rows_of(folder / "data" / f"{name}.csv") for name in ("medians", "rcv", "cells"))
    assert [row["cell"] for row in medians] == list(cells.names)
    for one in quantities(TOWERS):
        spread = cells.spread(one)
        told = [float(row[one.key] or "nan") for row in medians]
        np.testing.assert_allclose(told, spread.median, rtol=1e-5)
        np.testing.assert_allclose([float(row[one.key] or "nan") for row in rcv], spread.rcv, rtol=1e-5, atol=1e-9)
    assert table[2]["status"] == "some_calibrated"
    assert float(table[0]["nnse_gpp"]) == pytest.approx(cells.middle_score("gpp", 0)[0], rel=1e-5)
    failed = rows_of(folder / "data" / "failed_lanes.csv")
    assert sum(len(row["members"].split(", ")) for row in failed) == (~cells.good).sum()
    text = text_of(page)
    assert f"{cells.good.sum()} / {cells.good.size} lanes calibrated" in text
    for command in ("phloem attribute DIR", "phloem benchmark DIR"):
        assert command in text
    assert not list(folder.glob(".writing-*"))


def test_attribution_is_told_with_the_papers_numbers_beside(told):
    text, report = told.text, told.page.parent
    assert "wood turnover yr⁻¹ 198 30 0.71 ± 0.04 0.61 to 0.74 0.42 0.44 0.012" in text
    assert "not modelled: all 240 cells masked: no member agreement (rCV &gt; 0.3)" in text
    assert "Left out: flat (constant)" in text
    assert "mat: bends at 2.1 °C (1.2 to 3.4); enf: no breakpoint" in text
    assert "The paper: climate 67.2 %" in text
    assert "phloem attribute DIR" not in text
    names = {path.name for path in (report / "figures").glob("attribution_*")}
    kinds = (
        "importance",
        "partition",
        "identifiability",
        "pca",
        "dependence_turnover_wood",
        "dependence_leaf_lifespan",
    )
    assert names == {f"attribution_{kind}.png" for kind in kinds}
    shares = rows_of(report / "data" / "attribution_importance.csv")
    assert sum(float(row["share"]) for row in shares if row["target"] == "turnover_wood") == pytest.approx(100)
    assert len(rows_of(report / "data" / "attribution_dependence.csv")) == 2 * 2 * 200


def test_attribution_of_nothing_is_told(tmp_path):
    found = attribution()
    refused = {"name": "a", "units": "1", "long_name": "a", "refused": "one cell"}
    found |= {"targets": [refused], "pca": {"refused": "too few cells"}, "identifiability": None}
    text = text_of(write_report(grid_contents(6, 8, attribution={"baseline": (tmp_path, found)}), tmp_path))
    assert "not modelled: one cell" in text
    assert "Not computed: too few cells" in text
    assert not list((tmp_path / "figures").glob("attribution_*"))


def test_benchmarks_are_told_and_mapped(told):
    cells, folder, found, out = told.contents.sets[0], told.folder / "benchmark", told.benchmarked, told.page.parent
    text = told.text
    assert (
        "CCI biomass above-ground biomass Mg ha⁻¹ 240 5 4.2 21.3 17 0.80 0.64 0.50 0.667 0.90 0.70 20 to 25.5 31 %"
        in text
    )
    assert "not compared: no cell in common" in text
    assert (out / "figures" / "benchmark_scatter_biomass.png").read_bytes() == (
        folder / "scatter_biomass.png"
    ).read_bytes()
    assert (out / "data" / "benchmark_biomass.csv").read_bytes() == (folder / "biomass.csv").read_bytes()
    maps = benchmark_maps(folder, found, cells.names, "baseline")
    title, values, kind, unit = maps["benchmark_biomass"]
    assert (title, kind, unit) == ("CCI biomass: simulated less reference", "difference", "Mg ha⁻¹")
    np.testing.assert_allclose(values[[0, -1]], [-30, 40])
    # Several pairs a cell, such as months, are no map.
    found = copy.deepcopy(found)
    found["comparisons"][0]["pairs"] += 1
    assert benchmark_maps(folder, found, cells.names, "baseline") == {}


def test_difference_maps_have_more_cells_than_the_thinned_table(tmp_path):
    cells = MAX_LISTED_ROWS + 5
    names = [f"c{number}" for number in range(cells)]
    simulated = np.linspace(1, 2, cells)
    made = Pairs(
        slug="a-map", name="a map", quantity="npp_wood", units="1", long_name="x", kind="map", source="s",
        regrid="mean", cells=names, latitude=np.linspace(40, 80, cells), longitude=np.linspace(-180, 179, cells),
        cell=np.arange(cells), reference=np.linspace(3, 1, cells), simulated=simulated, members=simulated[:, None],
    )  # fmt: skip
    found = write_benchmark(tmp_path / "benchmark", [made], {})
    assert found["comparisons"][0]["points"]["rows"] == MAX_LISTED_ROWS
    shown = benchmark_maps(tmp_path / "benchmark", found, ["elsewhere", *names[::-1]], "baseline")["benchmark_a-map"][1]
    np.testing.assert_allclose(shown, [np.nan, *(simulated - made.reference)[::-1]], atol=1e-6)


def test_the_three_experiments_have_maps_of_their_own_differences(tmp_path):
    names = ("baseline", "single-year")
    sets = [grid_cells(4, 5, name, seed) for seed, name in enumerate(names)]
    found = benchmark(tmp_path / "benchmark", sets[0])
    entry = found["comparisons"][0]
    found["comparisons"] = [{**entry, "slug": f"{name}-biomass", "experiment": name} for name in names]
    found["comparisons"].append({**entry, "slug": "baseline-only", "experiment": "baseline"})
    with netCDF4.Dataset(tmp_path / "benchmark/differences.nc", "a") as file:
        for number, name in enumerate(("baseline_biomass", "single_year_biomass", "baseline_only")):
            file.createVariable(f"{name}_difference", "f4", ("cell",))[:] = number + 1
    changes = {"sets": sets, "facts": [facts(experiment=name) for name in names]}
    for key in ("root", "baseline"):
        made = grid_contents(4, 5, benchmark={key: (tmp_path / "benchmark", found)}, **changes)
        write_report(made, tmp_path / key)
    first, second = (rows_of(tmp_path / "root/data" / f"{name}_cells.csv") for name in names)
    assert {(row["benchmark_biomass"], row["benchmark_only"]) for row in first} == {("1", "3")}
    assert {(row["benchmark_biomass"], row["benchmark_only"]) for row in second} == {("2", "")}
    # A benchmark of one campaign says nothing of another.
    other = rows_of(tmp_path / "baseline/data/single-year_cells.csv")
    assert {row["benchmark_biomass"] for row in other} == {""}


def test_only_what_stands_out_from_the_noise_is_told(told, tmp_path):
    found = attribution()
    wood, leaf = found["targets"][:2]
    assert "mat 42 % (+), enf 30 % (+), vpd 20 % (+) climate 67.4 (64 to 71), vegetation 32.6 (30 to 37)" in told.text
    for row in (*wood["importance"], *leaf["importance"]):
        row["signal"] = False
    for group in (*wood["groups"], *leaf["groups"]):
        group["signal_share"] = 0.0
    wood["finding"] = "R2 of held-out cells is -0.10: the predictors explain nothing"
    for entry in leaf["dependence"]:
        entry |= {key: [] for key in ("low", "high", "boot_low", "boot_high")}
    page = write_report(grid_contents(4, 5, attribution={"baseline": (tmp_path, found)}), tmp_path / "b")
    text = text_of(page)
    assert "bends at" not in text
    assert text.count(wood["finding"]) == 2, "in the table, and in place of breakpoints"
    assert text.count("none stands out from the noise") == 2
    assert "mat 42 %" not in text
    assert '<details class="fold" open><summary>wood turnover' not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("wrong", ["{}", "{", "[]", "null", '{"WANTED": [1]}', '{"WANTED": [{"slug": "x"}]}'])
@pytest.mark.parametrize("place", [ATTRIBUTION, BENCHMARK])
def test_json_of_another_shape_is_refused_with_the_command_that_mends_it(tmp_path, place, wrong):
    what, command, wanted = place
    file = tmp_path / what / f"{what}.json"
    file.parent.mkdir()
    file.write_text(wrong.replace("WANTED", wanted))
    with pytest.raises(
        WorkError, match=f"{re.escape(str(file))} .*`phloem {command} {re.escape(str(tmp_path))}` writes"
    ):
        write_report(grid_contents(4, 5, **{what: found_in([("baseline", tmp_path)], *place)}), tmp_path / "report")


def test_what_went_wrong_is_told(told):
    text = told.text
    assert "worker-hours, attempts out of memory 0.50" in text
    assert "bug 3 2 report the traceback" in text
    assert "N1 hang no answer &lt;for&gt; an hour" in text
    assert "jax 1.2.3" in text
    assert "&lt;of&gt; May" in text


def test_a_refused_report_leaves_the_old_one(bare, tmp_path):
    contents, page = bare
    shutil.copytree(page.parent, tmp_path, dirs_exist_ok=True)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def fail(name):
        raise InputError(f"no {name}")

    broken = dataclasses.replace(contents.sets[0], parameter=fail)
    with pytest.raises(InputError, match="no "):
        write_report(dataclasses.replace(contents, sets=[broken]), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_files_of_an_older_report_go(tmp_path):
    with ReportFiles(tmp_path) as files:
        files.table("old", ["a"], [[1.23456789], [np.nan], [None]])
        files.finish("first")
    assert (tmp_path / "data" / "old.csv").read_text() == 'a\n1.23457\n""\n""\n'
    (tmp_path / ".writing-young").mkdir()
    (tmp_path / ".writing-old").mkdir()
    os.utime(tmp_path / ".writing-old", (0, 0))
    with ReportFiles(tmp_path) as files:
        files.finish("second")
    (tmp_path / ".writing-young").rmdir()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["data", "figures", "index.html"]
    assert slug("A&B <x>/..") == "A_B_x"
    assert slug("...") == "unnamed"


def test_facts_tell_the_gpus_that_computed_and_nothing_where_none_did() -> None:
    card = "NVIDIA H200 x 4, gpu backend, driver 580.1, NVRTC 12.9, jaxlib 0.10.2, 120 tiles"
    body = str(facts_section(facts(computed_on=card)).body)
    assert '<th class="left">computed on</th>' in body
    assert card in body
    assert "computed on" not in str(facts_section(facts()).body)
