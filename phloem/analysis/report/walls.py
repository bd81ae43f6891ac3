"""The section of a report on what stands at a wall, and on how far members end from their cell's best."""

from __future__ import annotations

from typing import Any

from phloem.analysis.report.figures.loss_gaps_figure import loss_gaps_figure
from phloem.analysis.report.files import ReportFiles
from phloem.analysis.report.sections import ReportSection, render
from phloem.analysis.report_data.walls import AtBounds, Walls
from phloem.analysis.style.wording import fixed, number, typeset
from phloem.names import NEAR_BOUND, POOR_BASIN_GAP


def walls_section(walls: Walls, files: ReportFiles) -> ReportSection:
    """Return the section.

    Args:
        walls: as `read_walls` gives them.
        files: takes the figure and the table.
    """
    bounds = [("parameter", one) for one in walls.parameters] + [("initial pool", one) for one in walls.pools]
    columns = ["kind", "name", "lower_bound", "upper_bound", "lanes_at_lower", "lanes_at_upper", "cells_stopped"]
    table = [
        [kind, one.quantity.name, one.quantity.lower, one.quantity.upper, one.lower, one.upper, one.stopped]
        for kind, one in bounds
    ]
    files.table("at_bounds", columns, table)
    share = sum(one.lower + one.upper for one in walls.parameters) / max(walls.lanes * len(walls.parameters), 1)
    body = render(
        "walls.html",
        figure=files.drawing(loss_gaps_figure("loss-gaps", walls.gaps)) if walls.gaps.size else None,
        bounds=[_row(kind, one, walls) for kind, one in bounds if one.lower + one.upper],
        nowhere=", ".join(one.quantity.name for _, one in bounds if not one.lower + one.upper),
        clamped=[
            {
                "name": one.pool.name,
                "ceiling": one.ceiling,
                "limit": f"{number(one.pool.upper)} {typeset(one.pool.unit)}",
                "clamped": one.clamped,
                "days": fixed(one.days, 0),
            }
            for one in walls.clamped
            if one.clamped
        ],
        counted=bool(walls.clamped),
        share=f"{100 * share:.1f}",
        lanes=walls.lanes,
        borrowed=walls.borrowed,
        gap=POOR_BASIN_GAP,
        near=f"{100 * NEAR_BOUND:g}",
    )
    ceilings = any(one.ceiling for one in walls.clamped)
    return ReportSection("walls", "At bounds, clamped, and in which basin", body, warn=ceilings)


def _row(kind: str, one: AtBounds, walls: Walls) -> dict[str, Any]:
    unit = typeset(one.quantity.unit)
    return {
        "kind": kind,
        "name": one.quantity.name,
        "meaning": one.quantity.meaning,
        "lower": one.lower,
        "upper": one.upper,
        "low": f"{number(one.quantity.lower)} {unit}",
        "high": f"{number(one.quantity.upper)} {unit}",
        "stopped": one.stopped,
        "cells": walls.cells,
    }
