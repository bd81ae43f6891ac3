"""The report's figures of an opened campaign, one at a time."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from phloem.analysis.report.figures.agreement_figure import agreement_figure
from phloem.analysis.report.figures.still_maps import Still, still_maps
from phloem.analysis.report.figures.tower_figures import Panel, loss_figure, seasonal_figure
from phloem.analysis.report.tables import agreement_row
from phloem.analysis.report.towers import SiteSeries, panels, weekly_figure
from phloem.analysis.report_data.cell_sets import CellSet, quantities
from phloem.analysis.report_data.tower_product import read_product
from phloem.analysis.style.wording import stream_title
from phloem.errors import InputError
from phloem.io.drivers.tower_cell import Cell
from phloem.io.merge.read_slices import MergedSlices
from phloem.jobs.analyse.report import open_cells, tower_series
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.notebook.named_cells import did_you_mean, planned_cell, require_product

STATISTICS = ("median", "rcv")
"""What a map shows of the members: their median, or how far they lie apart."""

WIDTH = 6.5
"""Inches of a map."""


class CampaignPlots:
    """Figures of one campaign: matplotlib's, which a notebook shows and which can be changed and saved.

    Example:
        >>> import phloem
        >>> campaign = phloem.open_campaign("campaigns/transect")
        >>> campaign.plot.map("lcma").savefig("lcma.png")
    """

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign

    @property
    def quantities(self) -> list[str]:
        """Names of what `map` can show: parameters, derived quantities (`derived_`), status, loss and scores.

        Example:
            >>> import phloem
            >>> "nnse_gpp" in phloem.open_campaign("campaigns/transect").plot.quantities
            True
        """
        tables = self._campaign.configuration.calibration.tables
        shown = [one.key for one in quantities(tables)]
        scores = [f"{window}_{stream}" for window in ("nnse", "nnse_validation") for stream in tables.streams]
        return [*shown, "status", "loss", *scores]

    def map(self, quantity: str, statistic: str = "median") -> Figure:
        """Draw a map of the cells.

        Args:
            quantity: one of `quantities`.
            statistic: of parameters and derived quantities, `median` of the members, or `rcv`, their robust coefficient
                of variation. Both need three members; of what has no statistic, it is not looked at.

        Raises:
            InputError: no such quantity or statistic; the message has the valid ones.
            WorkError: the campaign is not merged yet.

        Example:
            >>> import phloem
            >>> figure = phloem.open_campaign("campaigns/transect").plot.map("status")
        """
        if statistic not in STATISTICS:
            raise InputError(f"statistic {statistic!r}: valid are {', '.join(STATISTICS)}")
        if quantity not in self.quantities:
            hint = did_you_mean(quantity, self.quantities)
            raise InputError(f"quantity {quantity!r} is unknown.{hint} Valid are {', '.join(self.quantities)}")
        with ExitStack() as stack:
            cells = self._cells(stack)
            return still_maps(cells, [_still(cells, quantity, statistic)], across=1, width=WIDTH)

    def series(self, cell: str) -> Figure:
        """Draw seven-day means of a tower over its record: observed, median and range of the members.

        Args:
            cell: name of the tower.

        Raises:
            InputError: no such cell, or it is one of a driver store.
            WorkError: the campaign is not merged yet.

        Example:
            >>> import phloem
            >>> figure = phloem.open_campaign("campaigns/transect").plot.series("T000")
        """
        site, weekly, _ = self._panels(cell)
        return weekly_figure(f"series-{cell}", site, weekly).figure

    def seasonal(self, cell: str) -> Figure:
        """Draw the mean seasonal cycle of a tower: observed, median and range of the members.

        Args:
            cell: name of the tower.

        Raises:
            InputError: no such cell, or it is one of a driver store.
            WorkError: the campaign is not merged yet.

        Example:
            >>> import phloem
            >>> figure = phloem.open_campaign("campaigns/transect").plot.seasonal("T000")
        """
        return seasonal_figure(f"season-{cell}", self._panels(cell)[2]).figure

    def loss(self, cell: str) -> Figure:
        """Draw the loss of each member of a cell while it was optimised.

        Args:
            cell: name of the cell.

        Raises:
            InputError: no such cell.
            WorkError: the campaign is not merged yet.

        Example:
            >>> import phloem
            >>> figure = phloem.open_campaign("campaigns/transect").plot.loss("T000")
        """
        planned_cell(self._campaign, cell)
        require_product(self._campaign)
        with MergedSlices(self._campaign.paths.merged, [cell]) as merged:
            traces = merged.read("loss_trace")[0]
            iterations = np.ma.filled(np.ma.asarray(merged.file["trace_iteration"][...]).astype(float), np.nan)
        return loss_figure(f"loss-{cell}", iterations, traces).figure

    def agreement(self) -> Figure:
        """Draw in which share of the cells the members agree on each parameter.

        Raises:
            WorkError: the campaign is not merged yet.

        Example:
            >>> import phloem
            >>> figure = phloem.open_campaign("campaigns/transect").plot.agreement()
        """
        tables = self._campaign.configuration.calibration.tables
        rows = []
        with ExitStack() as stack:
            cells = self._cells(stack)
            for quantity in quantities(tables):
                if not quantity.derived:
                    spread = cells.spread(quantity)
                    rows.append(agreement_row(tables.parameter(quantity.key), spread.median, spread.rcv))
        return agreement_figure("agreement", rows).figure

    def _cells(self, stack: ExitStack) -> CellSet:
        require_product(self._campaign)
        return open_cells(stack, self._campaign, self._campaign.cells.names)

    def _panels(self, cell: str) -> tuple[SiteSeries, list[Panel], list[Panel]]:
        """Return the daily series of a tower, and what its figures show of each stream."""
        planned = planned_cell(self._campaign, cell)
        require_product(self._campaign)
        drivers = self._campaign.read_unit(planned)
        if not isinstance(drivers, Cell):
            raise InputError(
                f"{self._campaign.paths.root}: {cell} is a cell of a driver store, whose daily series are not drawn; "
                f"simulate({cell!r}) returns them"
            )
        with xr.open_dataset(self._campaign.paths.merged) as file:
            merged = file.sel(cell=[cell]).load()
        site = tower_series(self._campaign, planned, drivers, merged.sel(cell=cell))
        product = read_product(merged, self._campaign.configuration.calibration.tables)
        return site, *panels(site, product)


def _still(cells: CellSet, quantity: str, statistic: str) -> Still:
    """Return what a map shows of a quantity that there is."""
    if quantity == "status":
        return Still("status", cells.cell_status.astype(float), "status")
    if quantity == "loss":
        return Still("least end loss", cells.least_loss)
    window, _, stream = quantity.rpartition("_")
    if window in ("nnse", "nnse_validation") and stream in cells.scores:
        later = window == "nnse_validation"
        title = f"NNSE of {stream_title(stream)}{', validation' if later else ''}"
        return Still(title, cells.middle_score(stream, int(later)), "score")
    one = next(one for one in quantities(cells.tables) if one.key == quantity)
    spread = cells.spread(one)
    if statistic == "rcv":
        return Still(f"{one.label}: rCV", spread.rcv, "spread")
    return Still(f"{one.label}: median", spread.median, unit=one.unit, circular=one.circular)
