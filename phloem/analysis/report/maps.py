"""The maps of the report: packed for the page's script, still pictures for print, tables as CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from phloem.analysis.experiments.forward_product import ForwardRuns
from phloem.analysis.report.figures.still_maps import Still, still_maps
from phloem.analysis.report.files import ReportFiles
from phloem.analysis.report.sections import ReportSection, render
from phloem.analysis.report.tables import agreement_row, failed_lanes
from phloem.analysis.report.towers import agreement_section, failed_section
from phloem.analysis.report_data.cell_sets import CellSet, ShownQuantity, Spread, quantities
from phloem.analysis.report_data.page_layers import PageData
from phloem.analysis.report_data.tower_product import Floats
from phloem.analysis.style.wording import stream_title
from phloem.io.merge.member_statistics import SCREENING_RCV
from phloem.model_tables import ModelTables
from phloem.names import CELL_STATUS

MAX_LISTED_FAILURES = 100
"""Groups of failed lanes that the page names one by one."""

Extra = Mapping[str, tuple[str, Floats, str, str]]
"""More quantities of the cells: key -> title, values (cells,), kind of colours, unit."""


class MapParts:
    """Everything of the report that is about all cells: built in one walk over the quantities."""

    def __init__(
        self,
        sets: Sequence[CellSet],
        tables: ModelTables,
        files: ReportFiles,
        anchors: Sequence[str] = (),
        with_parameters: bool = True,
    ) -> None:
        """Begin with the cells.

        Args:
            sets: campaigns over the same cells.
            tables: of the model.
            files: takes pictures and tables.
            anchors: of the sections about single cells, one a cell, or none.
            with_parameters: whether maps offer the parameters beside the derived quantities.
        """
        self.sets, self.tables, self.files = sets, tables, files
        self.shown = quantities(tables, parameters=with_parameters)
        self.page = PageData(sets, self.shown, anchors)
        self.agreement: list[dict[str, Any]] = []
        self.stills: list[tuple[str, Markup]] = []
        self.medians: list[list[Floats]] = [[] for _ in sets]

    def walk(self, on_progress: Callable[[int, str], None]) -> None:
        """Read every quantity once: pack it, draw it, and keep what the tables need."""
        spreads: list[list[Spread]] = [[] for _ in self.sets]
        for place, quantity in enumerate(self.shown):
            for number, cells in enumerate(self.sets):
                spread = cells.spread(quantity)
                self.page.add_spread(number, spread)
                # The members are packed; what the tables and pictures need is a fraction of them.
                spreads[number].append(Spread(np.empty((0, 0)), spread.median, spread.rcv, spread.low, spread.high))
            if not quantity.derived:
                first = spreads[0][-1]
                self.agreement.append(agreement_row(self.tables.parameter(quantity.key), first.median, first.rcv))
            self._draw(quantity, [found[-1] for found in spreads])
            on_progress(place + 1, quantity.label)
        for cells in self.sets:
            cells.forget()
        self._overview(spreads)
        for cells, own_spreads in zip(self.sets, spreads, strict=True):
            self._tables(cells, own_spreads)

    def add_cells(self, extra: Sequence[Extra]) -> None:
        """Add status, loss and scores of the cells of each set, and what else is known of them."""
        for number, (one, more) in enumerate(zip(self.sets, extra, strict=True)):
            self.page.add_cells(number, one)
            for key, (title, values, kind, unit) in more.items():
                self.page.add_map(number, key, title, values, kind, unit)
            self._cell_table(one, more)

    def add_runs(self, runs: ForwardRuns, experiments: Sequence[str]) -> None:
        """Add the members' trajectories for the panel of a cell."""
        self.page.add_runs(runs, self.sets[0].names, experiments)

    def _name(self, one: CellSet) -> str:
        return f"{one.title}_" if len(self.sets) > 1 else ""

    def _draw(self, quantity: ShownQuantity, spreads: Sequence[Spread]) -> None:
        """Draw a quantity: its median and spread, or its medians in each set and their differences."""
        medians = [spread.median for spread in spreads]
        unit, days = quantity.unit, quantity.circular
        if len(self.sets) == 1:
            stills = [
                Still(f"{quantity.label}: median", medians[0], unit=unit, circular=days),
                Still(f"{quantity.label}: rCV", spreads[0].rcv, "spread"),
            ]
        else:
            known = np.concatenate([median[np.isfinite(median)] for median in medians])
            ends = np.percentile(known, [2, 98]) if known.size else np.array([0.0, 1.0])
            limits = (float(ends[0]), float(ends[1]))
            stills = [
                Still(one.title, median, unit=unit, limits=limits)
                for one, median in zip(self.sets, medians, strict=True)
            ]
            first = self.sets[0].title
            stills += [
                Still(f"{one.title} less {first}", median - medians[0], "difference", unit)
                for one, median in zip(self.sets[1:], medians[1:], strict=True)
            ]
        label = f"Maps of {quantity.label}: " + ", ".join(still.title for still in stills)
        element = self.files.picture(f"map_{quantity.key}", still_maps(self.sets[0], stills), label)
        if len(self.sets) > 1:
            self.stills.append((quantity.label, element))

    def _overview(self, spreads: Sequence[Sequence[Spread]]) -> None:
        """Draw small maps of all quantities of a single set, for print."""
        cells = self.sets[0]
        if len(self.sets) == 1:
            pairs = list(zip(self.shown, spreads[0], strict=True))
            for title, name, chosen in (
                ("Derived quantities, median of the members", "derived", [pair for pair in pairs if pair[0].derived]),
                ("Parameters, median of the members", "parameters", [pair for pair in pairs if not pair[0].derived]),
            ):
                stills = [Still(q.label, s.median, unit=q.unit, circular=q.circular) for q, s in chosen]
                if stills:  # a model may derive nothing
                    self._still(title, f"overview_{name}", stills, 3 if name == "derived" else 4)
            stills = [Still(q.label, s.rcv, "spread", limits=(0.0, 2 * SCREENING_RCV)) for q, s in pairs]
            title = f"Spread: robust CV of the members; members agree up to {SCREENING_RCV}"
            self._still(title, "overview_spread", stills, 4)
        stills = []
        for cells in self.sets:
            title = f", {cells.title}" if len(self.sets) > 1 else ""
            stills.append(Still(f"status{title}", cells.cell_status.astype(float), "status"))
            stills.append(Still(f"least end loss{title}", cells.least_loss))
            for stream in cells.scores:
                middle = cells.middle_score(stream, 0)
                if np.isfinite(middle).any():
                    stills.append(Still(f"NNSE of {stream_title(stream)}{title}", middle, "score"))
        self._still("Status, loss and NNSE of the calibration", "overview_cells", stills, 3)

    def _still(self, title: str, name: str, stills: Sequence[Still], across: int) -> None:
        label = f"{title}: maps of " + ", ".join(still.title for still in stills)
        figure = still_maps(self.sets[0], stills, across)
        self.stills.append((title, self.files.picture(name, figure, label, dpi=120)))

    def _tables(self, cells: CellSet, spreads: Sequence[Spread]) -> None:
        for kind, pick in (
            ("medians", lambda spread: spread.median),
            ("rcv", lambda spread: spread.rcv),
            ("lowest", lambda spread: spread.low),
            ("highest", lambda spread: spread.high),
        ):
            columns = [quantity.key for quantity in self.shown]
            rows = zip(
                cells.names,
                cells.latitude,
                cells.longitude,
                *[pick(spread).tolist() for spread in spreads],
                strict=True,
            )
            self.files.table(f"{self._name(cells)}{kind}", ["cell", "latitude", "longitude", *columns], rows)

    def _cell_table(self, cells: CellSet, more: Extra) -> None:
        words = {code: name for name, code in CELL_STATUS.items()}
        columns = ["cell", "latitude", "longitude", "status", "members_calibrated", "least_loss"]
        values: list[Any] = [
            cells.names,
            cells.latitude,
            cells.longitude,
            [words[code] for code in cells.cell_status.tolist()],
            cells.good.sum(1).tolist(),
            cells.least_loss.tolist(),
        ]
        for window, name in enumerate(("nnse", "nnse_validation")):
            for stream in cells.scores:
                columns.append(f"{name}_{stream}")
                values.append(cells.middle_score(stream, window).tolist())
        for key, (_, numbers, _, _) in more.items():
            columns.append(key)
            values.append(np.asarray(numbers, float).tolist())
        self.files.table(f"{self._name(cells)}cells", columns, zip(*values, strict=True))

    def section(self) -> ReportSection:
        """Return the section of the maps."""
        first = self.sets[0]
        body = render(
            "maps.html",
            stills=self.stills,
            cells=len(first.names),
            members=first.members,
            several=len(self.sets) > 1,
            anchored=bool(self.page.facts["anchors"]),
            steps=2**self.page.bits - 2,
            limit=SCREENING_RCV,
        )
        return ReportSection("maps", "Maps", body)

    def cell_sections(self) -> Iterator[ReportSection]:
        """Return what stands for the sections of single cells where these are many: a table, failures, agreement."""
        yield ReportSection("cells", "Cells", render("cells.html", cells=len(self.sets[0].names)))
        if len(self.sets) == 1:
            one = self.sets[0]
            failed = failed_lanes(one.names, one.status, one.redraws)
            columns = ["cell", "members", "status", "redraws"]
            self.files.table("failed_lanes", columns, ([lane[key] for key in columns] for lane in failed))
            yield failed_section(failed[:MAX_LISTED_FAILURES], max(0, len(failed) - MAX_LISTED_FAILURES))
            yield agreement_section(self.agreement)
