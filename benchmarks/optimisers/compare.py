"""Compares optimisers from the same starts: loss against gradients spent, with the published schedule as the reference.

    python -m benchmarks.optimisers.compare  # the 11 towers, 3 seeds, all candidates: a quarter of an hour
    python -m benchmarks.optimisers.compare --candidates fast "adam, published"
    python -m benchmarks.optimisers.compare --growing 12 --candidates "bfgs, whole record"   # stands of 107 years

A gradient of the whole record costs 1, on a part of it that part; a forward run 0.3, a block of 38 tangents 9. A lane
has arrived when its loss over the whole record at k = 30 is within 0.01 of the published schedule's end loss from the
same draw, and stays so. Writes a figure and prints Markdown tables; the towers that the defaults were chosen on stand
apart.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import matplotlib as mpl
import numpy as np

from benchmarks.optimisers.candidates import CANDIDATES, Curve
from benchmarks.optimisers.lanes import HELD_OUT, TUNED_ON, Bench, growing, towers
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS, UNKNOWNS
from phloem.kernels.objective.bounded_log import physical
from phloem.names import STOP

REFERENCE = "adam, published"
NEAR, WORSE = 0.01, 0.02
FIGURE = Path(__file__).parents[2] / "docs" / "images" / "optimisers.png"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="seeds; each gives 5 lanes a cell")
    parser.add_argument("--growing", type=int, default=0, metavar="CELLS", help="made 107-year stands, not the towers")
    parser.add_argument("--candidates", nargs="+", choices=list(CANDIDATES), default=None, metavar="NAME")
    parser.add_argument(
        "--figure", type=Path, default=None, help=f"default, for all candidates on the towers: {FIGURE}"
    )
    parser.add_argument("--json", type=Path, default=None, help="write the figures of the table there, too")
    return parser.parse_args(arguments)


def arrival(curve: Curve, target: np.ndarray) -> np.ndarray:
    """Return what each lane had cost when it came within NEAR of its target for good, inf where it never did, (lanes,).

    A start that passes by and is given up does not count.
    """
    away = ~(curve.loss <= target + NEAR)
    last = len(away) - 1 - away[::-1].argmax(0)
    first = np.where(away.any(0), last + 1, 0)
    inside = np.minimum(first, len(away) - 1)
    return np.where(first < len(away), curve.cost[inside, np.arange(len(target))], np.inf)


def end_loss(curve: Curve, bench: Bench) -> np.ndarray:
    """Return each lane's loss where it ended; inf where that is not finite."""
    loss = bench.record_loss(curve.raw, 30.0)
    return np.where(np.isfinite(loss), loss, np.inf)


def summary(
    name: str, curve: Curve, bench: Bench, target: np.ndarray, lanes: np.ndarray, seconds: float
) -> dict[str, Any]:
    """Return the figures of one candidate over some lanes."""
    end, arrived = end_loss(curve, bench)[lanes], arrival(curve, target)[lanes]
    gap = end - target[lanes]
    codes = np.bincount(curve.stop[lanes], minlength=len(STOP))
    return {
        "candidate": name,
        "lanes": int(lanes.sum()),
        "arrived": quartiles(arrived),
        "cost": float(np.median(curve.cost[-1][lanes])),
        "mean_cost": float(curve.cost[-1][lanes].mean()),
        "gap": float(np.median(gap)),
        "median_loss": float(np.median(end)),
        "worse": float((gap > WORSE).mean()),
        "not_finite": int((~np.isfinite(end)).sum()),
        "nnse": float(np.median(bench.scores(curve.raw, "calibration")[lanes])),
        "nnse_validation": float(np.median(bench.scores(curve.raw, "validation")[lanes]))
        if bench.held_out().any()
        else 0,
        "stop": {word: int(codes[code]) for word, code in STOP.items() if codes[code]},
        "seconds": seconds,
    }


def quartiles(values: np.ndarray) -> list[float | None]:
    """Return the quartiles as they stand in the sorted row; None where not so many lanes arrived."""
    row = np.sort(values)
    at_quartiles = [float(row[int(share * (len(row) - 1))]) for share in (0.25, 0.5, 0.75)]
    return [value if np.isfinite(value) else None for value in at_quartiles]


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| candidate | arrived: quartiles of gradients | cost, median (mean) | end loss minus reference "
        "| worse by > 0.02 | not finite | NNSE sum, training / validation |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        arrived = " ".join("never" if value is None else f"{value:,.0f}" for value in row["arrived"])
        lines.append(
            f"| {row['candidate']} | {arrived} | {row['cost']:,.0f} ({row['mean_cost']:,.0f}) | {row['gap']:+.3f} "
            f"| {100 * row['worse']:.1f} % | {row['not_finite']} | {row['nnse']:.3f} / {row['nnse_validation']:.3f} |"
        )
    return "\n".join(lines)


def agreement(curves: dict[str, Curve], bench: Bench) -> str:
    """Return, by parameter, the median robust CV over cells and seeds of two optimisers' members, as a table."""
    names = [name for name in (REFERENCE, "fast", "fast, uniform starts") if name in curves]
    seeds, cells = len(bench.seeds), len(bench.names)
    deviations = {}
    for name in names:
        values = np.asarray(physical(jnp.asarray(curves[name].raw.T, float), UNKNOWNS)).T[:, : len(PARAMETERS)]
        members = values.reshape(seeds, cells, -1, len(PARAMETERS))
        middle = np.median(members, 2, keepdims=True)
        deviation = 1.4826 * np.median(np.abs(members - middle), 2) / np.abs(middle[:, :, 0])
        deviations[name] = np.median(deviation.reshape(-1, len(PARAMETERS)), 0)
    lines = ["| parameter | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
    for row, parameter in enumerate(PARAMETERS):
        if parameter.read:
            lines.append(f"| {parameter.name} | " + " | ".join(f"{deviations[name][row]:.3f}" for name in names) + " |")
    read = np.array([parameter.read for parameter in PARAMETERS])
    lines.append(
        "| median of the 26 | " + " | ".join(f"{np.median(deviations[name][read]):.3f}" for name in names) + " |"
    )
    return "\n".join(lines)


def draw(curves: dict[str, Curve], target: np.ndarray, lanes: np.ndarray, path: Path) -> None:
    """Draw the least gap to the reference so far against gradients spent: median and quartiles over the lanes."""
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9.5, 5.6), layout="constrained")
    colours = pyplot.get_cmap("tab20")(np.linspace(0, 1, 20))
    for number, (name, curve) in enumerate(curves.items()):
        costs = np.geomspace(3, max(30.0, curve.cost[-1][lanes].max()), 160)
        best = np.minimum.accumulate(np.where(np.isfinite(curve.loss), curve.loss, 1e9), 0) - target
        columns = [np.interp(costs, curve.cost[:, lane], best[:, lane]) for lane in np.flatnonzero(lanes)]
        low, middle, high = np.quantile(np.array(columns), [0.25, 0.5, 0.75], axis=0)
        colour, width = ("black", 2.4) if name == REFERENCE else (colours[number], 1.6)
        axes.plot(costs, middle, color=colour, lw=width, label=name)
        if name in (REFERENCE, "fast"):
            axes.fill_between(costs, low, high, color=colour, alpha=0.15, lw=0)
    axes.axvline(250, color="0.7", lw=0.8, ls=":")
    axes.axhline(NEAR, color="0.7", lw=0.8, ls=":")
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=0.1)
    axes.set_ylim(-0.2, 300)
    axes.set_xlabel("gradients of the whole record spent")
    axes.set_ylabel("least loss so far minus the published schedule's end loss")
    axes.legend(fontsize=8, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    names = options.candidates or list(CANDIDATES)
    names = [REFERENCE, *(name for name in names if name != REFERENCE)]
    seeds = tuple(range(options.seeds))
    bench = growing(options.growing) if options.growing else towers((*TUNED_ON, *HELD_OUT), seeds)
    curves: dict[str, Curve] = {}
    seconds = {}
    for name in names:
        begun = time.perf_counter()
        curves[name] = CANDIDATES[name](bench)
        seconds[name] = round(time.perf_counter() - begun, 1)
        print(f"{name}: {seconds[name]} s", file=sys.stderr, flush=True)
    target = end_loss(curves[REFERENCE], bench)
    # best_raw of Adam is the best step after k has risen; the yardstick is the last step, as published.
    target = np.where(np.isfinite(curves[REFERENCE].loss[-1]), curves[REFERENCE].loss[-1], target)
    held = bench.held_out()
    groups = {"all cells": np.ones(len(held), bool)}
    if not options.growing:
        groups = {f"held out: {', '.join(HELD_OUT)}": held, f"chosen on: {', '.join(TUNED_ON)}": ~held}
    result = {}
    for title, lanes in groups.items():
        rows = [summary(name, curve, bench, target, lanes, seconds[name]) for name, curve in curves.items()]
        result[title] = rows
        print(f"\n**{title}** ({int(lanes.sum())} lanes)\n\n{table(rows)}")
        for row in rows:
            print(f"  {row['candidate']}: ended {row['stop']}", file=sys.stderr)
    print(f"\n{agreement(curves, bench)}")
    figure = options.figure or (None if options.candidates or options.growing else FIGURE)
    if figure:
        draw(curves, target, held, figure)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
