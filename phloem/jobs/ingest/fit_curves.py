"""Curves that constrain experiments, fitted to users' tables: leaf economics and growth."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from phloem.analysis.curves.curve_figures import growth_figure, leaf_economics_figure
from phloem.analysis.curves.growth_curves import FLAGS, GrowthFit, fit_growth_curve, growth_table
from phloem.analysis.curves.leaf_economics import EXPECTED_R2, fit_leaf_economics_line, read_leaves
from phloem.analysis.style.plot_style import to_png
from phloem.errors import InputError
from phloem.io.files.atomic import write_atomically
from phloem.io.references.forest_stands import read_stands
from phloem.io.references.growth_curves import CARBON_FRACTION
from phloem.jobs.progress import ProgressBar

MAX_PANELS = 60
"""Cells that the figure of growth curves shows: those with most stands."""


def fit_leaf_economics(
    table: Path,
    out: Path | None = None,
    lifespan: str | None = None,
    mass: str | None = None,
    carbon_fraction: float = CARBON_FRACTION,
) -> list[str]:
    """Fit the leaf economics line to a table of leaf traits.

    Args:
        table: CSV with leaf lifespan and leaf mass per area or specific leaf area.
        out: TOML file to write, with a figure of the same name that ends in `.png` beside it; None writes nothing.
        lifespan: column of leaf lifespan, as `read_leaves` takes it; by default by its name.
        mass: column of leaf mass per area, likewise.
        carbon_fraction: carbon in dry leaf mass, g g-1.

    Returns:
        Lines to print: what was left out, the fit, and the lines for a campaign file.

    Raises:
        InputError: a table that cannot be fitted, or an `out` that cannot be written; nothing is written.
    """
    picture = None if out is None else _figure_beside(out, table)
    leaves = read_leaves(table, lifespan, mass, carbon_fraction)
    line = fit_leaf_economics_line(leaves)
    rows = line.n + sum(leaves.dropped.values())
    notes = [f"{table}: {line.n} of {rows} rows fitted"]
    notes += [f"  {count} rows left out: {reason}" for reason, count in leaves.dropped.items()]
    notes.append(
        f"ln lifespan = {line.alpha:.3f} (SE {line.alpha_se:.3f}) {line.gamma:+.3f} (SE {line.gamma_se:.3f}) ln LCMA; "
        f"residual SD {line.sigma:.3f}, R2 = {line.r2:.2f} (published compilation: {EXPECTED_R2}), p = {line.p:.2g}"
    )
    if line.gamma <= 0.0:
        notes.append("warning: heavier leaves live no longer in this table")
    if line.sigma <= 1e-6:
        notes.append("warning: no scatter at all: sigma must be greater than 0 in a campaign file")
    if out is not None and picture is not None:
        write_atomically(picture, to_png(leaf_economics_figure(leaves, line)))
        write_atomically(out, line.toml().encode())
        notes.append(f"written: {out}, {picture}")
    return [*notes, "", *line.toml().splitlines()]


def fit_growth_curves(table: Path, out: Path, unflagged: bool = False) -> list[str]:
    """Fit a growth curve to the stands of every half-degree cell of a table.

    Args:
        table: CSV of stands, as `read_stands` takes it.
        out: CSV to write, which `read_growth_curves` reads; a figure of the same name that ends in `.png` beside it.
        unflagged: leave curves with a flag out of the file.

    Returns:
        Lines to print: cells that could not be fitted and why, what was left out of each fit, flags, and totals.

    Raises:
        InputError: a table that cannot be read, no cell that can be fitted, or an `out` that cannot be written; nothing
            is written.
    """
    picture = _figure_beside(out, table)
    cells = read_stands(table)
    fits: list[GrowthFit] = []
    left: list[str] = []
    with ProgressBar("growth curves", len(cells)) as bar:
        for done, stands in enumerate(cells.values(), 1):
            try:
                fits.append(fit_growth_curve(stands))
            except InputError as error:
                left.append(str(error))
            bar.update(done)
    kept = [fit for fit in fits if not (unflagged and fit.flags)]
    if not kept:
        why = f"none of {len(fits)} curves is without a flag" if fits else f"no cell can be fitted ({left[0]})"
        raise InputError(f"{table}: {why}; nothing was written")
    shown = sorted(sorted(kept, key=lambda fit: -len(fit.stands.ages))[:MAX_PANELS], key=_place)
    write_atomically(picture, to_png(growth_figure(shown)))
    write_atomically(out, growth_table(kept).encode())
    notes = [f"left out: {reason}" for reason in left]
    for fit in fits:
        notes += [f"{fit.stands.name}: {text}" for text in fit.told()]
    counts = Counter(name for fit in fits for name in fit.flags)
    notes.append(f"{len(fits)} of {len(cells)} cells fitted, {sum(not fit.flags for fit in fits)} without a flag")
    notes += [f"  {name}: {counts[name]} cells ({meaning})" for name, meaning in FLAGS.items() if counts[name]]
    some = f" ({len(shown)} cells with most stands)" if len(shown) < len(kept) else ""
    notes.append(f"written: {out} ({len(kept)} cells), {picture}{some}")
    return notes


def _place(fit: GrowthFit) -> tuple[float, float]:
    return fit.stands.latitude, fit.stands.longitude


def _figure_beside(out: Path, table: Path) -> Path:
    """The figure's file; refuses an `out` that cannot be written or would overwrite the table."""
    picture = out.with_suffix(".png")
    if out.suffix.lower() == ".png" or out.is_dir() or not out.parent.is_dir():
        raise InputError(f"--out {out}: name a file, not a .png, in a folder that exists")
    if not os.access(out.parent, os.W_OK):
        raise InputError(f"--out {out}: the folder {out.parent} is not writable")
    if out.resolve() == table.resolve():
        raise InputError(f"--out {out}: is the table itself")
    return picture
