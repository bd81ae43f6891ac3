"""Benchmarks in the report: scores against references, scatter and difference maps."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from phloem.analysis.report_files import DATA, FIGURES, ReportFiles, image, slug
from phloem.analysis.report_page import Section, render
from phloem.analysis.report_tables import fixed, number, typeset

SCORES = (
    ("bias", "bias", None),
    ("pbias", "PBIAS, %", 1),
    ("rmse", "RMSE", None),
    ("mae", "MAE", None),
    ("r", "r", 2),
    ("r2_pearson", "r²", 2),
    ("nse", "NSE", 2),
    ("nnse", "NNSE", 3),
    ("slope_obs_on_pred", "slope, observed on predicted", 2),
    ("slope_pred_on_obs", "slope, predicted on observed", 2),
)
"""Score, heading and decimals (None: four significant digits)."""

STRATA = ("by", "name", "pairs", "bias", "pbias", "rmse", "nse", "r2_pearson")
"""Columns of the scores by stratum."""

MOST_STRATA = 30
"""Strata of a kind that the page shows; its data have them all."""

Found = tuple[Path, Mapping[str, Any]]


def benchmark_section(found: Mapping[str, Found], files: ReportFiles) -> Section:
    """Return the section on benchmarks.

    Args:
        found: by campaign, the folder and the benchmark.json of `phloem benchmark`; empty where it was not run.
        files: takes figures and tables.
    """
    several = len(found) > 1
    parts, rows, strata = [], [], []
    for place, (title, (folder, one)) in enumerate(found.items()):
        lead = f"{slug(title)}_" if several else ""
        parts.append(
            {
                "title": title if several else "",
                "experiments": len({entry.get("experiment") for entry in one["comparisons"]}) > 1,
                "rows": [_row(entry, f"benchmark-{place}-{n}") for n, entry in enumerate(one["comparisons"])],
                "comparisons": [
                    _comparison(folder, entry, files, lead, f"benchmark-{place}-{n}")
                    for n, entry in enumerate(one["comparisons"])
                ],
            }
        )
        for entry in one["comparisons"]:
            strata += [[title, entry["slug"], *(part.get(key) for key in STRATA)] for part in entry.get("strata") or ()]
        for entry in one["comparisons"]:
            scores = entry.get("scores") or {}
            about = [title, *(entry.get(key) for key in ("slug", "quantity", "units", "refused", "pairs"))]
            rows.append([*about, *(scores.get(key) for key, _, _ in SCORES)])
    if found:
        columns = ["campaign", "comparison", "quantity", "units", "refused", "pairs", *(key for key, _, _ in SCORES)]
        files.table("benchmark", columns, rows)
        files.table("benchmark_strata", ["campaign", "comparison", *STRATA], strata)
    heads = [title for _, title, _ in SCORES]
    return Section("benchmark", "Benchmarks", render("benchmark.html", parts=parts, heads=heads))


def benchmark_maps(
    folder: Path, found: Mapping[str, Any], names: Sequence[str]
) -> dict[str, tuple[str, np.ndarray, str, str]]:
    """Return maps of the differences from references: of those comparisons that have one pair a cell."""
    maps: dict[str, tuple[str, np.ndarray, str, str]] = {}
    places = {name: place for place, name in enumerate(names)}
    for entry in found["comparisons"]:
        file = folder / str((entry.get("points") or {}).get("file", ""))
        if entry.get("refused") or not file.is_file():
            continue
        values = np.full(len(names), np.nan)
        once = True
        with file.open(newline="", encoding="utf-8") as rows:
            for row in csv.DictReader(rows):
                place = places.get(row.get("cell", ""))
                if place is None or not row.get("difference"):
                    continue
                if np.isfinite(values[place]):
                    once = False
                    break
                values[place] = float(row["difference"])
        if once and np.isfinite(values).any():
            title = f"{entry['name']}: simulated less reference"
            maps[f"benchmark_{entry['slug']}"] = (title, values, "difference", _unit(entry["units"]))
    return maps


def _unit(units: str) -> str:
    return "" if units == "1" else typeset(units)


def _text(value: float | None, decimals: int | None) -> str:
    if value is None:
        return "–"
    return number(value) if decimals is None else fixed(value, decimals)


def _row(entry: Mapping[str, Any], anchor: str) -> dict[str, Any]:
    scores, members = entry.get("scores") or {}, entry.get("members") or {}
    rmse = members.get("rmse")
    share = entry.get("within_members")
    return {
        "anchor": anchor,
        "experiment": entry.get("experiment") or "",
        "name": entry["name"],
        "quantity": entry.get("long_name") or entry["quantity"],
        "unit": _unit(entry["units"]),
        "refused": entry.get("refused"),
        "pairs": f"{entry.get('pairs') or 0:,}",
        "scores": [_text(scores.get(key), decimals) for key, _, decimals in SCORES],
        "members": f"{_text(rmse[0], None)} to {_text(rmse[1], None)}" if rmse else "–",
        "within": "–" if share is None else f"{100 * share:.0f} %",
    }


def _comparison(folder: Path, entry: Mapping[str, Any], files: ReportFiles, lead: str, anchor: str) -> dict[str, Any]:
    pictures: list[Markup] = []
    for kind, words in (("scatter", "simulated against reference"), ("map", "map of simulated less reference")):
        file = folder / f"{kind}_{entry['slug']}.png"
        if file.is_file():
            png = file.read_bytes()
            files.keep(FIGURES, f"{lead}benchmark_{kind}_{slug(entry['slug'])}.png", png)
            pictures.append(image(png, f"{entry['name']}: {words}"))
    points = folder / str((entry.get("points") or {}).get("file", ""))
    if points.is_file():
        files.keep(DATA, f"{lead}benchmark_{slug(entry['slug'])}.csv", points.read_bytes())
    return {
        "anchor": anchor,
        "title": ": ".join(dict.fromkeys([entry["name"], entry.get("long_name") or entry["quantity"]])),
        "source": entry.get("source") or "",
        "regrid": entry.get("regrid") or "",
        "refused": entry.get("refused"),
        "pictures": pictures,
        "notes": [*(entry.get("warnings") or ()), *(entry.get("notes") or ())],
        "weighted": _scores(entry.get("weighted")),
        "medians": _scores(entry.get("medians")),
        "strata": _strata(entry),
    }


def _scores(scores: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return headings and texts of those scores that are there."""
    there = scores or {}
    return [(title, _text(there[key], decimals)) for key, title, decimals in SCORES if there.get(key) is not None]


def _strata(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the scores by kind of stratum, the strata with most pairs first where there are too many."""
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for one in entry.get("strata") or ():
        kinds.setdefault(one["by"], []).append(one)
    return [
        {
            "by": kind,
            "more": max(0, len(rows) - MOST_STRATA),
            "rows": [
                [
                    one["name"],
                    f"{one['pairs']:,}",
                    _text(one.get("bias"), None),
                    _text(one.get("pbias"), 1),
                    _text(one.get("rmse"), None),
                    _text(one.get("nse"), 2),
                    _text(one.get("r2_pearson"), 2),
                ]
                for one in (
                    rows if len(rows) <= MOST_STRATA else sorted(rows, key=lambda row: -row["pairs"])[:MOST_STRATA]
                )
            ],
        }
        for kind, rows in kinds.items()
    ]
