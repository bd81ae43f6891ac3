"""`report`: a campaign, or the three experiments side by side, to one page with its figures and data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from phloem.analysis.experiments.forward_product import read_forward
from phloem.analysis.report.page import Contents, write_report
from phloem.analysis.report.towers import SiteSeries
from phloem.analysis.report_data.cell_sets import CellSet, quantities, read_cells
from phloem.analysis.report_data.place_series import PlaceSeries
from phloem.analysis.report_data.walls import Walls, read_walls
from phloem.errors import InputError, WorkError, unreadable
from phloem.io.campaign.tile_schema import good_lanes
from phloem.io.drivers.tower_cell import Cell
from phloem.io.merge.read_slices import MergedSlices
from phloem.jobs.analyse.place_series import named_places, place_series, telling_places
from phloem.jobs.analyse.report_facts import campaign_facts
from phloem.jobs.analyse.report_parts import see_to_parts
from phloem.jobs.campaign.campaign import Campaign, is_campaign, open_campaign
from phloem.jobs.campaign.campaign_set import find_campaigns, open_campaigns, together
from phloem.jobs.campaign.unit_table import PlannedUnit
from phloem.jobs.config.experiments import SIDE_BY_SIDE
from phloem.jobs.progress import ProgressBar
from phloem.jobs.single_cell import simulate_cell

COMPARED = "experiments.json"
"""What makes a directory the root of the three experiments."""

ATTRIBUTION = ("attribution", "attribute", "targets")
BENCHMARK = ("benchmark", "benchmark", "comparisons")
"""Folder and name of the JSON in it, the command that writes it, and the list that it must have."""


def report(directory: Path, as_is: bool = False, cells: Sequence[str] = ()) -> Path:
    """Write DIR/report/index.html with figures and data beside it.

    Args:
        directory: of a campaign, which is merged first where it is not; or of the three experiments.
        as_is: show what is there; else attribute and benchmark first what has not been.
        cells: of a campaign of a driver store, whose time series are shown, or `all`; none: some from the worst fit to
            the best.

    Returns:
        The page.

    Raises:
        InputError: neither of the two, or a product that does not fit its campaign.
        WorkError: a product is damaged.
    """
    if is_campaign(directory):
        campaign = open_campaign(directory)
        return campaign.kind.report(campaign, as_is, cells)
    if not (directory / COMPARED).is_file():
        raise InputError(
            f"{directory}: no campaign here; plan one with `phloem plan CAMPAIGN.toml`. Nor are there three "
            f"experiments (no {COMPARED}), which `phloem experiments CAMPAIGN.toml --out {directory}` runs"
        )
    if cells:
        raise InputError(
            f"--cells goes with a single campaign: {directory} holds "
            + ", ".join(path.name for path in find_campaigns(directory))
        )
    if not as_is:
        see_to_parts(directory)
    return _report_experiments(directory)


def check_cells_shown(campaign: Campaign, wanted: Sequence[str]) -> None:
    """Refuse cells whose series cannot be chosen.

    Raises:
        InputError: no such cell, or each tower is shown anyway.
    """
    if not wanted:
        return
    if not campaign.configuration.data.is_store:
        raise InputError("--cells goes with campaigns of a driver store; the page of towers shows each of them")
    named_places(campaign, wanted)


def report_campaign(campaign: Campaign, shown: Sequence[str] = ()) -> Path:
    """Write the page of a calibration; see `report`."""
    campaign.paths.make()
    together(campaign.paths.root, [campaign]).see_to_products()
    tables = campaign.configuration.calibration.tables
    root = campaign.paths.root.resolve()
    experiment, name = campaign.configuration.experiment.name, campaign.configuration.campaign.name
    towers, notes = None, []
    places: list[PlaceSeries] = []
    if (root.parent / COMPARED).is_file() and experiment in SIDE_BY_SIDE:
        notes.append(
            "This campaign is one of three experiments over the same cells: `phloem report` on the directory above "
            f"({root.parent.name}) writes a page that compares them."
        )
    runs = next((path for path in (root / "forward.nc", root.parent / "forward.nc") if path.is_file()), None)
    bar = ProgressBar("report", len(quantities(tables)))
    walls = _walls(campaign)
    with ExitStack() as stack:
        cells = open_cells(stack, campaign, campaign.cells.names)
        if not campaign.configuration.data.is_store:
            merged = _load(campaign)
            towers = (merged, _series(campaign, merged))
        else:
            places = place_series(campaign, cells, named_places(campaign, shown) if shown else telling_places(cells))
        stack.enter_context(bar)
        forward = read_forward(runs) if runs is not None else None
        contents = Contents(
            title=name,
            facts=[campaign_facts(campaign)],
            sets=[cells],
            towers=towers,
            runs=forward if forward is not None and experiment in forward.experiments else None,
            attribution=found_in([(experiment, root)], *ATTRIBUTION),
            benchmark=found_in([(experiment, root)], *BENCHMARK),
            notes=notes,
            walls=walls,
            places=places,
            chosen=bool(shown),
        )
        return write_report(contents, campaign.paths.report_dir, bar.update)


def _walls(campaign: Campaign) -> Walls | None:
    with MergedSlices(campaign.paths.merged, campaign.cells.names) as merged:
        return read_walls(merged, campaign.configuration.calibration.bounded_tables)


def _report_experiments(root: Path) -> Path:
    compared = _read_json(root / COMPARED, f"phloem experiments CAMPAIGN.toml --out {root}")
    if not find_campaigns(root):
        raise InputError(f"{root}: has {COMPARED} but none of the campaigns {', '.join(SIDE_BY_SIDE)}")
    given = open_campaigns(root)
    given.see_to_products()
    campaigns, names = given.campaigns, given.cells
    tables = given.last.configuration.calibration.tables
    places = [(str(campaign.configuration.experiment.name), campaign.paths.root) for campaign in campaigns]
    runs = root / "forward.nc"
    with ExitStack() as stack:
        sets = [open_cells(stack, campaign, names) for campaign in campaigns]
        bar = stack.enter_context(ProgressBar("report", len(quantities(tables, parameters=False))))
        contents = Contents(
            title=f"{campaigns[-1].configuration.campaign.name}: {len(campaigns)} experiments side by side",
            facts=[campaign_facts(campaign) for campaign in campaigns],
            sets=sets,
            runs=read_forward(runs) if runs.is_file() else None,
            experiments=compared,
            attribution=found_in(places, *ATTRIBUTION) or found_in([(root.name, root)], *ATTRIBUTION),
            benchmark=found_in([(root.name, root)], *BENCHMARK) or found_in(places, *BENCHMARK),
            notes=[
                "Each experiment is a campaign of its own: `phloem report` on "
                f"{', '.join(name for name, _ in places)} in this directory writes its page, with all parameters."
            ],
        )
        return write_report(contents, root / "report", bar.update)


def found_in(
    places: Sequence[tuple[str, Path]], what: str, command: str, wanted: str
) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Return what attribution or benchmarks have left in the folders of campaigns, with the folders of their figures.

    Raises:
        WorkError: it cannot be read, or has no such list.
    """
    found = {}
    for title, directory in places:
        file = directory / what / f"{what}.json"
        if not file.is_file():
            continue
        one = _read_json(file, f"phloem {command} {directory}")
        rows = one.get(wanted)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise WorkError(f"{file} has no list of {wanted}; `phloem {command} {directory}` writes it")
        found[title] = (file.parent, one)
    return found


def _read_json(path: Path, command: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise unreadable(path, error, command) from error
    if not isinstance(found, dict):
        raise WorkError(f"{path} holds no table of names and values; `{command}` writes it")
    return found


def open_cells(stack: ExitStack, campaign: Campaign, names: Sequence[str]) -> CellSet:
    """Open the product of a campaign for as long as the stack lasts.

    Raises:
        InputError: no such cell.
        WorkError: the product cannot be read.
    """
    merged = stack.enter_context(MergedSlices(campaign.paths.merged, names))
    columns = campaign.cells.columns
    places = {name: place for place, name in enumerate(campaign.cells.names)}
    latitude, longitude = ([columns[key][places[name]] for name in names] for key in ("latitude", "longitude"))
    title = str(campaign.configuration.experiment.name)
    return read_cells(merged, campaign.configuration.calibration.tables, title, names, latitude, longitude)


def _load(campaign: Campaign) -> xr.Dataset:
    """Load the product of towers whole."""
    try:
        with xr.open_dataset(campaign.paths.merged) as file:
            return file.load()
    except (OSError, ValueError, RuntimeError) as error:
        raise unreadable(campaign.paths.merged, error, f"phloem merge {campaign.paths.root}") from error


def _series(campaign: Campaign, merged: xr.Dataset) -> Iterator[SiteSeries]:
    """Simulate one tower after the other; lanes without result give NaN."""
    with ProgressBar("simulating", len(campaign.cells)) as bar:
        for count, planned in enumerate(campaign.cells):
            cell = campaign.read_unit(planned)
            if not isinstance(cell, Cell):
                return
            series = tower_series(campaign, planned, cell, merged.sel(cell=planned.name))
            bar.update(count + 1, planned.name)
            yield series


def tower_series(campaign: Campaign, planned: PlannedUnit, cell: Cell, one: xr.Dataset) -> SiteSeries:
    """Simulate a tower with its members' parameters; lanes without result give NaN.

    Args:
        campaign: merged.
        planned: the tower.
        cell: its drivers.
        one: the tower's part of the product.
    """
    experiment = campaign.configuration.calibration
    usable = good_lanes(one["status"].values)
    simulated = {name: np.full((usable.size, len(cell.time)), np.nan) for name in experiment.tables.streams}
    if usable.any():
        values = np.concatenate([one["parameters"].values, one["initial_pools"].values], axis=1)[usable]
        outputs = simulate_cell(cell, values, experiment)
        for name in experiment.tables.streams:
            simulated[name][usable] = getattr(outputs, name)
    return SiteSeries(
        cell=planned.name,
        time=cell.dates,
        training_days=cell.training_days,
        observed=cell.observations,
        simulated=simulated,
        findings=planned.findings,
    )
