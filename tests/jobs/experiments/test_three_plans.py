"""The three experiments are planned before the first is computed, and run forward as far as the store's curves go."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from phloem.io.drivers.store import Store, StorePaths, chunk_columns, seal_store, write_chunk
from phloem.jobs.analyse.benchmark import default_references
from phloem.jobs.calibration.merged_members import Members
from phloem.jobs.campaign.planning import open_or_plan
from phloem.jobs.experiments.three_experiments import forward_years
from tests.support.campaigns.campaigns import command, write_campaign
from tests.support.campaigns.stores import CELLS, SHORT, write_grid_campaign
from tests.support.drivers.grid_files import dataset


def short_curves(store: Store, folder: Path, ages: int) -> Store:
    """Write a store again, its growth curves cut."""
    cells = [replace(cell, trajectory=cell.trajectory[:ages]) for cell in store.read(range(CELLS))]
    write_chunk(StorePaths(folder).chunk(0), cells)
    return seal_store(folder, store.facts, chunk_columns(0, cells))


def test_an_experiment_that_cannot_run_is_refused_before_another_is_computed(tmp_path: Path) -> None:
    made = dataset().drop_vars(["growth_amax", "growth_k", "growth_c"])
    made.to_netcdf(tmp_path / "grid.nc")
    years = {"forcing_years": [2003, 2005], "calibration_years": [2003, 2004], "validation_years": [2005, 2005]}
    experiment = {"name": "baseline", "edc7": False, "years": 3, **years}
    write_campaign(tmp_path, data={"kind": "grid", "path": "grid.nc"}, experiment=experiment, optimiser=SHORT)
    done = command("experiments", "made.toml", "--out", "three", folder=tmp_path)
    assert done.returncode == 2
    assert "have no snapshot, which the single-year experiment fits" in done.stderr
    assert not (tmp_path / "three/baseline").exists(), "the first is not computed, nor left planned"


def test_what_another_left_where_an_experiment_goes_is_kept(tmp_path: Path, store: Store) -> None:
    write_grid_campaign(tmp_path, store)
    (tmp_path / "three/single-year").mkdir(parents=True)
    (tmp_path / "three/single-year/letter.txt").write_text("Dear mother")
    done = command("experiments", "made.toml", "--out", "three", folder=tmp_path)
    assert done.returncode == 2
    assert "three/single-year exists and holds no campaign" in done.stderr
    assert (tmp_path / "three/single-year/letter.txt").read_text() == "Dear mother"
    assert not (tmp_path / "three/baseline").exists()


def test_forward_runs_end_with_the_growth_curves(tmp_path: Path, store: Store) -> None:
    path = write_grid_campaign(tmp_path, short_curves(store, tmp_path / "short", 40))
    assert forward_years(open_or_plan(path, tmp_path / "short campaign", [])) == 40
    path = write_grid_campaign(tmp_path, store)
    campaign = open_or_plan(path, tmp_path / "long campaign", [])
    assert forward_years(campaign) == 100


def test_the_default_benchmark_asks_for_an_age_that_there_is(tmp_path: Path, store: Store) -> None:
    ages = {}
    for name, one, keys in (
        ("short", short_curves(store, tmp_path / "curves", 40), []),
        ("long", store, []),
        ("young", store, ["experiment.years=36"]),
    ):
        path = write_grid_campaign(tmp_path, one)
        campaign = open_or_plan(path, tmp_path / name, keys)
        members = Members(campaign, list(campaign.cells.names), *[None] * 5)  # type: ignore[arg-type]
        ages[name] = [r.age for r in default_references(members).reference if r.kind == "growth"]
    # The run of 107 years meets the forcing of its 40th year again, later: there is nothing of that age to compare.
    assert ages == {"short": [], "long": [100], "young": [36]}
