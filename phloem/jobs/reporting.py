"""`report`: the merged product, the towers' series simulated by every member, and the facts, to one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from phloem.analysis import CampaignFacts, SiteSeries, write_report
from phloem.errors import WorkError
from phloem.io import Cell, list_attempts, read_events
from phloem.jobs.campaign import Campaign
from phloem.jobs.progress import ProgressBar, say
from phloem.jobs.single import simulate_cell
from phloem.jobs.twin import read_truth
from phloem.kernels import PARAMETERS
from phloem.names import STATUS, STREAMS

MOST_CELLS = 120
"""Cells of a grid that the page shows one by one."""


def _series(campaign: Campaign, merged: xr.Dataset, bar: ProgressBar) -> Iterator[SiteSeries]:
    """Simulate one tower after the other; lanes without result give NaN."""
    if campaign.configuration.data.is_store:
        return
    experiment = campaign.configuration.experiment
    good = [STATUS["calibrated"], STATUS["calibrated_after_redraw"]]
    for count, planned in enumerate(campaign.cells):
        one = merged.sel(cell=planned.name)
        usable = np.isin(one["status"].values, good)
        cell = campaign.read_cell(planned)
        if not isinstance(cell, Cell):
            return
        simulated = {name: np.full((usable.size, len(cell.time)), np.nan) for name in STREAMS}
        if usable.any():
            values = np.concatenate([one["parameters"].values, one["initial_pools"].values], axis=1)[usable]
            outputs = simulate_cell(cell, values, experiment.mode, experiment.precision)
            for name in STREAMS:
                simulated[name][usable] = getattr(outputs, name)
        bar.update(count + 1, planned.name)
        yield SiteSeries(
            cell=planned.name,
            time=cell.dates,
            training_days=cell.training_days,
            observed=cell.observations,
            simulated=simulated,
            findings=planned.findings,
        )


def _facts(campaign: Campaign, merged: xr.Dataset) -> CampaignFacts:
    """Count what happened to the campaign."""
    events: Counter[str] = Counter()
    seconds = 0.0
    newest = {tile: numbers.newest for tile, numbers in list_attempts(campaign.paths).items()}
    for event in read_events(campaign.paths.journals_dir):
        if event["event"] == "ran":
            seconds += event["seconds"]
        elif event["event"] == "ended":
            events[f"ended attempts: {event['class']}"] += 1
        elif event["event"] == "set aside":
            events["cells set aside"] += 1
        elif event["event"] == "attempts":
            newest[event["tile"]] = max(event["newest"], newest.get(event["tile"], 0))
        elif event["event"] == "quarantined":
            events["files quarantined"] += 1
    events["attempts"] = sum(newest.values())
    events["tiles"] = len(campaign.tiles)
    events["lanes drawn anew"] = int((merged["redraws"].values > 0).sum())
    events["gradient evaluations"] = int(merged["gradient_evaluations"].values.sum())
    configuration = campaign.configuration
    return CampaignFacts(
        name=configuration.campaign.name,
        version=campaign.version,
        configuration_hash=configuration.fingerprint(),
        seed=configuration.campaign.seed,
        members=configuration.campaign.members,
        optimiser=configuration.optimiser.in_words,
        wall_seconds=seconds or None,
        events=dict(sorted(events.items())),
        configuration_text=campaign.paths.configuration.read_text(encoding="utf-8"),
        truth=read_truth(campaign.paths.root / "drivers") if configuration.data.kind == "synthetic" else None,
    )


def _by_cell(merged: xr.Dataset, campaign: Campaign) -> xr.Dataset:
    """Return the product of a driver store as that of towers: one dimension of cells, the daily streams; at most
    MOST_CELLS of them.
    """
    names = campaign.cells.names
    if len(names) > MOST_CELLS:
        chosen = np.linspace(0, len(names) - 1, MOST_CELLS).round().astype(int)
        names = [names[int(place)] for place in chosen]
        say(f"the report shows {MOST_CELLS} of {len(campaign.cells)} cells, evenly chosen")
    if campaign.places:
        return merged.isel(stream=slice(len(STREAMS))).sel(cell=names)
    ids = merged["cell"].values.astype(str).reshape(-1)
    places = {name: place for place, name in enumerate(ids.tolist()) if name}
    flat = merged.drop_vars("cell").stack(place=("lat", "lon"), create_index=False)
    flat = flat.isel(place=[places[name] for name in names], stream=slice(len(STREAMS))).rename(place="cell")
    return flat.transpose("cell", ...).assign_coords(cell=names)


def report(campaign: Campaign) -> Path:
    """Write DIR/report/index.html from DIR/merged.nc.

    Of a grid it shows some cells' scores, parameters and restarts, without daily series.

    Raises:
        InputError: the product does not fit the campaign.
        WorkError: the product is damaged.
    """
    campaign.paths.make()
    try:
        with xr.open_dataset(campaign.paths.merged) as file:
            merged = file.load()
    except (OSError, ValueError, RuntimeError) as error:
        raise WorkError(
            f"{campaign.paths.merged} cannot be read ({error}); write it anew: phloem merge {campaign.paths.root}"
        ) from error
    if campaign.configuration.data.is_store:
        merged = _by_cell(merged, campaign)
    bounds = {p.name: (p.lower, p.upper, p.unit, p.meaning) for p in PARAMETERS}
    with ProgressBar("report", len(campaign.cells)) as bar:
        sites = _series(campaign, merged, bar)
        return write_report(merged, sites, _facts(campaign, merged), bounds, campaign.paths.report)
