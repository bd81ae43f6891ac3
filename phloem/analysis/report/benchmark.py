"""Benchmarks in the report: scores against references, scatter and difference maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from markupsafe import Markup

from phloem.analysis.benchmark.result_files import DIFFERENCES, RESULT, SCORECARD, variable
from phloem.analysis.report.files import DATA, FIGURES, ReportFiles, image, slug
from phloem.analysis.report.sections import ReportSection, refuse_malformed, render
from phloem.analysis.style.wording import fixed, number, typeset
from phloem.errors import unreadable

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

MAX_LISTED_STRATA = 30
"""Strata of a kind that the page shows; its data have them all."""

Found = tuple[Path, Mapping[str, Any]]


def benchmark_section(found: Mapping[str, Found], files: ReportFiles) -> ReportSection:
    """Return the section on benchmarks.

    Args:
        found: by campaign, the folder and the benchmark.json of `phloem benchmark`; empty where it was not run.
        files: takes figures and tables.

    Raises:
        WorkError: a benchmark.json is not what `phloem benchmark` writes.
    """
    several = len(found) > 1
    parts, rows, strata = [], [], []
    for place, (title, (folder, document)) in enumerate(found.items()):
        with refuse_malformed(folder / RESULT, "benchmark"):
            parts.append(_part(title if several else "", folder, document, files, f"benchmark-{place}"))
            for entry in document["comparisons"]:
                kinds = entry.get("strata") or ()
                strata += [[title, entry["slug"], *(part.get(key) for key in STRATA)] for part in kinds]
                scores = entry.get("scores") or {}
                about = [title, *(entry.get(key) for key in ("slug", "quantity", "units", "refused", "pairs"))]
                rows.append([*about, *(scores.get(key) for key, _, _ in SCORES)])
    if found:
        columns = ["campaign", "comparison", "quantity", "units", "refused", "pairs", *(key for key, _, _ in SCORES)]
        files.table("benchmark", columns, rows)
        files.table("benchmark_strata", ["campaign", "comparison", *STRATA], strata)
    heads = [title for _, title, _ in SCORES]
    return ReportSection("benchmark", "Benchmarks", render("benchmark.html", parts=parts, heads=heads))


def benchmark_maps(
    folder: Path, found: Mapping[str, Any], names: Sequence[str], experiment: str
) -> dict[str, tuple[str, np.ndarray, str, str]]:
    """Return maps of the differences from references: of those comparisons that have one pair a cell.

    Args:
        folder: of the benchmark, with its differences.nc, which has every cell.
        found: what its benchmark.json holds, of one or of several experiments.
        names: of the cells.
        experiment: whose comparisons; those that name none are taken as its own.

    Returns:
        By key, which is the same one for every experiment: title, values (cells,), kind of colours, unit.

    Raises:
        WorkError: a file is damaged, or not what `phloem benchmark` writes.
    """
    maps: dict[str, tuple[str, np.ndarray, str, str]] = {}
    with refuse_malformed(folder / RESULT, "benchmark"):
        chosen = [
            entry
            for entry in found["comparisons"]
            if not entry.get("refused")
            and entry.get("experiment") in (None, "", experiment)
            and entry["pairs"] == entry["cells"]
        ]
        columns = _differences(folder / DIFFERENCES, [entry["slug"] for entry in chosen], names)
        for entry in chosen:
            values = columns.get(entry["slug"])
            if values is not None and np.isfinite(values).any():
                title = f"{entry['name']}: simulated less reference"
                key = f"benchmark_{entry['slug'].removeprefix(f'{experiment}-')}"
                maps[key] = (title, values, "difference", _unit(entry["units"]))
    return maps


def _differences(path: Path, slugs: Sequence[str], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return differences.nc at some cells, NaN where a cell is not there, by slug; none of a slug that it has not."""
    if not slugs or not path.is_file():
        return {}
    try:
        with netCDF4.Dataset(path) as file:
            there = {name: place for place, name in enumerate(file["cell"][:].tolist())}
            rows = np.array([there.get(name, -1) for name in names])
            columns = {slug: variable(slug, "difference") for slug in slugs}
            return {
                slug: np.where(rows < 0, np.nan, np.ma.filled(file[name][:].astype(float), np.nan)[rows])
                for slug, name in columns.items()
                if name in file.variables
            }
    except (OSError, RuntimeError, IndexError) as error:
        raise unreadable(path, error, f"phloem benchmark {path.parent.parent}") from error


def _unit(units: str) -> str:
    return "" if units == "1" else typeset(units)


def _part(title: str, folder: Path, one: Mapping[str, Any], files: ReportFiles, anchor: str) -> dict[str, Any]:
    lead = f"{slug(title)}_" if title else ""
    comparisons = one["comparisons"]
    card = folder / SCORECARD
    if card.is_file():
        png = card.read_bytes()
        files.keep(FIGURES, f"{lead}benchmark_scorecard.png", png)
    return {
        "title": title,
        "card": image(png, "scores between 0 and 1 of all comparisons") if card.is_file() else "",
        "experiments": len({entry.get("experiment") for entry in comparisons}) > 1,
        "rows": [_row(entry, f"{anchor}-{n}") for n, entry in enumerate(comparisons)],
        "comparisons": [
            _comparison(folder, entry, files, lead, f"{anchor}-{n}") for n, entry in enumerate(comparisons)
        ],
    }


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
    for stratum in entry.get("strata") or ():
        kinds.setdefault(stratum["by"], []).append(stratum)
    return [
        {
            "by": kind,
            "more": max(0, len(rows) - MAX_LISTED_STRATA),
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
                    rows
                    if len(rows) <= MAX_LISTED_STRATA
                    else sorted(rows, key=lambda row: -row["pairs"])[:MAX_LISTED_STRATA]
                )
            ],
        }
        for kind, rows in kinds.items()
    ]
