"""Time series of single places of a grid or monthly campaign in the report."""

from __future__ import annotations

from collections.abc import Sequence

from phloem.analysis.report.figures.tower_figures import Panel, Span, series_figure
from phloem.analysis.report.files import ReportFiles, slug
from phloem.analysis.report.sections import ReportSection, render
from phloem.analysis.report.towers import keep_panels
from phloem.analysis.report_data.place_series import PlaceSeries
from phloem.analysis.style.wording import fixed, typeset
from phloem.io.drivers.variables import driver_variables
from phloem.model_tables import ModelTables

WIDTH = 11.4
"""Of a figure, inches."""


def place_anchor(place: int) -> str:
    """Return where the page shows a place."""
    return f"place-{place}"


def places_section(
    series: Sequence[PlaceSeries], cells: int, chosen: bool, tables: ModelTables, files: ReportFiles
) -> ReportSection:
    """Return the section.

    Args:
        series: of the places that are shown.
        cells: of the campaign.
        chosen: whether the user named the places.
        tables: of the model.
        files: takes figures and tables.
    """
    units = {spec.name: typeset(spec.unit) for spec in driver_variables(tables).streams}
    shown = []
    for one in series:
        panels = [
            Panel(name, units[name], means.observed, means.median, means.low, means.high, means.withheld)
            for name, means in one.streams.items()
        ]
        span = Span(one.first[0], one.last, one.validation if one.validation <= one.last else None)
        keep_panels(files, f"{one.place}_{slug(one.cell)}", "first_day", [str(day) for day in one.first], panels)
        label = f"Observed and simulated streams of {one.cell} from the first calibration year on"
        drawing = series_figure(f"place-series-{one.place}", span, one.centres, panels, label, WIDTH)
        shown.append(
            {
                "name": one.cell,
                "anchor": place_anchor(one.place),
                "lanes": one.members,
                "members": one.of_members,
                "score": fixed(one.score, 3),
                "first": str(one.first[0]),
                "last": str(one.last),
                "figure": files.drawing(drawing),
            }
        )
    body = render("places.html", shown=shown, cells=cells, chosen=chosen)
    return ReportSection("places", "Time series of places", body, bare=True)
