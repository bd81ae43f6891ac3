"""A model of a campaign on up to 2,000 nodes: what tile size, checkpoint interval and budgets cost when things fail.

    python -m benchmarks.cluster.model --nodes 2000 --cells 60000 --tile 1,4,12,13,25,51,64 --checkpoint 1,5,15,60

Nothing runs but arithmetic and a heap of events; docs/scale.md says what was found. Every combination of the lists is
one row. Any field of Work, Machine, FailureRates and Policy can be changed with `--set field=value`.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.cluster.scenarios import HOUR, SCENARIOS, Policy, Work
from benchmarks.cluster.simulation import Simulation

COLUMNS = {
    "scenario": "scenario",
    "tile": "cells a tile",
    "checkpoint": "checkpoint, min",
    "tiles": "tiles",
    "nodes_peak": "nodes at once",
    "wall_hours": "wall, h",
    "tail_hours": "last 1 %, h",
    "used_core_hours": "core-h used",
    "efficiency": "efficiency",
    "padding": "padding",
    "lost": "lost",
    "idle": "idle",
    "overhead": "overhead",
    "isolated": "taken apart",
    "given_up": "given up",
    "false_give_ups": "falsely",
    "set_aside": "poison found",
    "inodes_peak": "files",
    "inodes_rolled_up": "rolled up",
    "metadata_steady": "op/s",
    "start_minutes": "start queue, min",
}
SHARES = ("efficiency", "padding", "lost", "idle", "overhead")


def summary(simulation: Simulation) -> dict[str, Any]:
    """Return what a campaign came to: hours, shares of the core-hours used, counts."""
    work, policy, used = simulation.work, simulation.policy, simulation.used
    cost, lost, commits = simulation.cost, sum(simulation.lost.values()), simulation.commits
    booked = sum(cost.values()) + lost
    late = commits[max(0, int(0.99 * len(commits)) - 1)] if commits else 0.0
    overhead = sum(cost[name] for name in ("checkpoints", "start", "commit", "isolation", "outage", "redraws"))
    return {
        "tile": work.tile,
        "checkpoint": policy.checkpoint,
        "tiles": len(simulation.tiles),
        "nodes_peak": simulation.peak["nodes"],
        "wall_hours": simulation.finished_at / HOUR,
        "tail_hours": (simulation.finished_at - late) / HOUR,
        "used_core_hours": used / HOUR,
        "efficiency": cost["useful"] / used,
        "padding": cost["padding"] / used,
        "lost": (lost + cost["given up"]) / used,
        "idle": 1 - booked / used,
        "overhead": overhead / used,
        "cost_core_hours": {name: seconds / HOUR for name, seconds in cost.items()},
        "lost_core_hours": {name: seconds / HOUR for name, seconds in simulation.lost.items()},
        "events": dict(simulation.events),
        "done": simulation.done,
        "given_up": simulation.gave_up.total(),
        "given_up_by_class": dict(simulation.gave_up),
        "false_give_ups": simulation.false_give_ups,
        "set_aside": simulation.set_aside,
        "isolated": simulation.isolated,
        "most_attempts": max(tile.attempts for tile in simulation.tiles),
        "stop_hours": {name: seconds / HOUR for name, seconds in simulation.stops.items()},
        "inodes_peak": simulation.peak["files"],
        "inodes_rolled_up": simulation.peak["files rolled up"],
        "metadata_steady": simulation.peak["running"] * simulation.steady(),
        "metadata_burst": max(simulation.burst.values()) / 60,
        "start_minutes": simulation.peak["server minutes"],
    }


def override(values: dict[str, Any], *records: Any) -> list[Any]:
    """Return the records with their fields replaced; a dotted name sets one entry of a table, such as budgets.bug."""
    result = list(records)
    for name, value in values.items():
        field, _, key = name.partition(".")
        owners = [i for i, record in enumerate(result) if field in {f.name for f in dataclasses.fields(record)}]
        if not owners:
            valid = sorted({f.name for record in records for f in dataclasses.fields(record)})
            raise SystemExit(f"{name}: no such field; valid are {', '.join(valid)}")
        for i in owners:
            new = getattr(result[i], field) | {key.replace("_", " "): value} if key else value
            result[i] = dataclasses.replace(result[i], **{field: new})
    return result


def row(scenario: str, values: dict[str, Any], seed: int) -> dict[str, Any]:
    """Simulate one campaign."""
    machine, failures = SCENARIOS[scenario]
    work, machine, failures, policy = override(values, Work(), machine, failures, Policy())
    simulation = Simulation(work, machine, failures, policy, seed)
    begun = time.perf_counter()
    simulation.run()
    result = {"scenario": scenario, "seed": seed, "set": values, **summary(simulation)}
    return result | {"seconds": round(time.perf_counter() - begun, 1)}


def averaged(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the means of what a table shows, over campaigns that differ in their seed."""
    first = rows[0]
    means = {name: statistics.fmean(row[name] for row in rows) for name in COLUMNS if name != "scenario"}
    return {"scenario": first["scenario"], "set": first["set"], **means}


def table(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> str:
    """Return rows as a Markdown table; columns are those of COLUMNS or fields that were set."""
    lines = ["| " + " | ".join(COLUMNS.get(name, name) for name in columns) + " |", "| --- " * len(columns) + "|"]
    for row in rows:
        values = [row["set"][name] if name in row["set"] else row[name] for name in columns]
        lines.append("| " + " | ".join(map(_cell, columns, values)) + " |")
    return "\n".join(lines)


def _cell(name: str, value: Any) -> str:
    if isinstance(value, str | bool):
        return str(value)
    if name in SHARES:
        return f"{100 * value:.1f} %"
    if name not in COLUMNS and 0 < abs(value) < 0.1:
        return f"{value:g}"
    return f"{value:,.1f}" if isinstance(value, float) and value % 1 and value < 1000 else f"{value:,.0f}"


def _number(text: str) -> float:
    return {"true": True, "false": False}[text] if text in ("true", "false") else json.loads(text)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenario", default="calm,typical,bad", help=f"comma-separated: {', '.join(SCENARIOS)}")
    for name in ("nodes", "cells", "tile", "checkpoint", "years", "walltime"):
        parser.add_argument(f"--{name}", help="comma-separated numbers; see Work, Machine and Policy")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUES", help="e.g. budgets.bug=2,3")
    parser.add_argument("--seed", default="0", help="comma-separated; the table shows means")
    parser.add_argument("--columns", default=",".join(COLUMNS), help="comma-separated columns, or fields that are set")
    parser.add_argument("--json", action="store_true", help="one JSON list on standard output")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.scenario.split(",") if name not in SCENARIOS]
    if unknown:
        parser.error(f"scenario {unknown[0]!r}: valid are {', '.join(SCENARIOS)}")
    known = [*COLUMNS, *axes(options)]
    unknown = [name for name in options.columns.split(",") if name not in known]
    if unknown:
        parser.error(f"column {unknown[0]!r}: valid are {', '.join(known)}")
    return options


def axes(options: argparse.Namespace) -> dict[str, list[Any]]:
    """Return the fields to vary and their values."""
    texts = {name: getattr(options, name) for name in ("nodes", "cells", "tile", "checkpoint", "years", "walltime")}
    texts |= dict(text.split("=", 1) for text in options.set)
    return {name: [_number(part) for part in text.split(",")] for name, text in texts.items() if text}


def main() -> None:
    options = parse()
    fields = axes(options)
    rows, means = [], []
    for scenario, *values in itertools.product(options.scenario.split(","), *fields.values()):
        some = [row(scenario, dict(zip(fields, values, strict=True)), int(seed)) for seed in options.seed.split(",")]
        print(f"{scenario} {some[0]['set']}: {sum(row['seconds'] for row in some):.1f} s", file=sys.stderr)
        rows += some
        means.append(averaged(some))
    print(json.dumps(rows, indent=1) if options.json else table(means, options.columns.split(",")))


if __name__ == "__main__":
    main()
