"""Sections of an upscaling's report on months that models had not seen: scores, groups, intervals, towers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from phloem.analysis.report.files import DATA, ReportFiles
from phloem.analysis.report.network_scores import picture
from phloem.analysis.report.sections import (
    Found,
    ReportSection,
    picture_part,
    pictures_section,
    plain_table,
    refuse_malformed,
    render,
)
from phloem.analysis.style.wording import fixed, number, typeset

RESULT = "benchmark.json"

ABSENT = "Not there: `phloem benchmark DIR` compares predictions with what was left out, and says what is in its way."

LARGE = 100.0
"""Numbers from here on are written with fewer digits."""

PRINTED = {"gpp": (0.63, 0.84), "reco": (0.48, 0.8), "nee": (0.29, 0.72), "le": (0.54, 0.8)}
"""r2 (Pearson) of baseline and UFLUX that Zhu et al. 2026 print at towers, of random rows (uflux.md sections 9, 10)."""

SCHEME_WORDS = {
    "tower": (
        "Towers never seen (cv = tower)",
        "Each tower was left out in turn, and everything fitted, constants of the baselines included, without it. This "
        "is what the maps can be expected to do where there is no tower.",
        False,
    ),
    "block": (
        "Boxes of degrees never seen (cv = block)",
        "All towers of a box were left out together: neighbours do not help each other.",
        False,
    ),
    "year": (
        "Years never seen (cv = year)",
        "A year of all towers was left out: the towers had been seen in other years. Nobody may read these numbers as "
        "skill at places without a tower.",
        True,
    ),
    "row": (
        "Months of towers that were seen (cv = row)",
        "Months were left out at random, so that every tower had part in every fit by its other months. This "
        "reproduces what was published. Nobody may read these numbers as skill at places without a tower.",
        True,
    ),
}
"""Heading of each scheme, what it tells, and whether it is likely to be misread."""

WAY_WORDS = {
    "baseline": "the process baselines",
    "residual": "baseline and learned residual",
    "direct": "direct learning",
    "blend": "blends of residual and direct learning",
}
"""Ways of learning in words."""


def upscaling_scores_sections(found: Found, files: ReportFiles) -> list[ReportSection]:
    """Return the sections on scores, groups, intervals and towers.

    Args:
        found: folder of the benchmark and its benchmark.json; None where there is none.
        files: takes figures and tables.

    Raises:
        WorkError: the benchmark is not what `phloem benchmark` writes.
    """
    if found is None:
        return [pictures_section("scores", "Scores", [ABSENT], [], warn=True)]
    folder, document = found
    with refuse_malformed(folder / RESULT, "benchmark"):
        for name in ("scores", "groups", "coverage"):
            if (folder / f"{name}.csv").is_file():
                files.keep(DATA, f"upscaling_{name}.csv", (folder / f"{name}.csv").read_bytes())
        return [
            _scores(document),
            _pairs(folder, document, files),
            _groups(folder, document, files),
            _intervals(folder, document, files),
            _towers(folder, document, files),
        ]


def _scores(document: Mapping[str, Any]) -> ReportSection:
    tables = []
    for scheme in document["schemes"]:
        title, words, warn = SCHEME_WORDS[scheme]
        rows = [
            [
                f"{row['flux'].upper()}",
                row["way"],
                f"{row['n']:,}",
                text(row["nse"]),
                text(row["r2_pearson"]),
                *([_printed(row)] if scheme == "row" else []),
                text(row["rmse"]),
                text(None if row["nrmse"] is None else 100 * row["nrmse"], 0),
                text(row["bias"]),
                text(row["slope_obs_on_pred"]),
                typeset(document["units"][row["flux"]]),
            ]
            for row in document["scores"]
            if row["scheme"] == scheme
        ]
        columns = ["flux", "learned", "months", "NSE", "r² (Pearson)", *(["printed r²"] if scheme == "row" else []),
                   "RMSE", "nRMSE, %", "bias", "slope", "unit"]  # fmt: skip
        tables.append({"title": title, "words": words, "warn": warn, "table": plain_table(columns, rows, 2)})
    seen_only = not {"tower", "block"} & set(document["schemes"])
    return ReportSection("scores", "Scores", render("upscaling_scores.html", tables=tables), warn=seen_only)


def _printed(row: Mapping[str, Any]) -> str:
    place = {"baseline": 0, "residual": 1}.get(row["way"])
    return "" if place is None or row["flux"] not in PRINTED else text(PRINTED[row["flux"]][place])


def _pairs(folder: Path, document: Mapping[str, Any], files: ReportFiles) -> ReportSection:
    drawn = picture(folder, "observed_predicted.png", "observed against predicted fluxes", files, "benchmark")
    lines = [
        f"Monthly means by {WAY_WORDS[document['way']]}; colours count months on a logarithmic scale; dashed: 1:1. A "
        "column is a cross-validation: only towers and boxes never seen tell of places without a tower.",
    ]
    return pictures_section("pairs", "Observed against predicted", lines, [picture_part("", "", [drawn])])


def _groups(folder: Path, document: Mapping[str, Any], files: ReportFiles) -> ReportSection:
    scheme = SCHEME_WORDS[document["headline"]][0]
    parts = []
    for by, title, note in (
        ("part", "Part of the signal", "A flux is a tower's mean, its mean cycle of the year, and departures from it. "
         "Skill in the second says little of the first and nothing of the third."),
        ("class", "Plant class", ""),
        ("climate", "Climate", ""),
        ("season", "Season", ""),
    ):  # fmt: skip
        rows = [row for row in document["groups"] if row["by"] == by and row["scheme"] == document["headline"]
                and row["way"] in (document["way"], "baseline")]  # fmt: skip
        drawn = picture(folder, f"by_{by}.png", f"NSE by {title.lower()}", files, "benchmark")
        parts.append(picture_part(title, note, [drawn], table=_group_table(rows, document)))
    lines = [f"{scheme}. Dots: NSE by way; in the tables NSE of the baseline and of the {document['way']}."]
    return pictures_section("groups", "By class, season and climate", lines, parts)


def _group_table(rows: Sequence[Mapping[str, Any]], document: Mapping[str, Any]) -> Any:
    own = {(row["group"], row["flux"], row["way"]): row for row in rows}
    groups = list(dict.fromkeys(row["group"] for row in rows))
    columns = ["group"] + [
        f"{flux.upper()} {what}" for flux in document["fluxes"] for what in ("months", "baseline", document["way"])
    ]
    table = []
    for group in groups:
        line = [group.replace("_", " ")]
        for flux in document["fluxes"]:
            learned = own.get((group, flux, document["way"]))
            base = own.get((group, flux, "baseline"))
            line += [
                f"{learned['n']:,}" if learned else "–",
                *(text(one["nse"] if one else None) for one in (base, learned)),
            ]
        table.append(line)
    return plain_table(columns, table)


def _intervals(folder: Path, document: Mapping[str, Any], files: ReportFiles) -> ReportSection:
    coverage = document["coverage"]
    if coverage is None:
        why = [f"{line[0].upper()}{line[1:]}." for line in document["notes"] if line.startswith("no intervals")]
        return pictures_section("intervals", "Intervals", why, [], warn=True)
    level = coverage["level"]
    rows = [
        [flux.upper(), *(text(100 * one[key], 1) for key in ("share", "tower_share", "ensemble_share")),
         *(text(one[key]) for key in ("mean_width", "ensemble_width")), typeset(document["units"][flux])]
        for flux, one in coverage["fluxes"].items()
    ]  # fmt: skip
    columns = ["flux", "intervals hold, % of months", "mean over towers, %", "ensemble band holds, %",
               "width of intervals", "width of the band", "unit"]  # fmt: skip
    drawn = picture(folder, "coverage.png", "months held by intervals and by the ensemble's band", files, "benchmark")
    lines = [
        f"Conformal intervals of {100 * level:.0f} % from residuals of what was left out, measured at towers that had "
        "no part in them. The band between 5 and 95 % of the members is a spread and no interval: it holds far less.",
        "The intervals hold on the mean over towers; in single classes, climates and towers they may hold less.",
    ]
    off = any(abs(one["share"] - level) > 0.05 for one in coverage["fluxes"].values())
    part = picture_part("", "", [drawn], table=plain_table(columns, rows))
    return pictures_section("intervals", "Intervals", lines, [part], warn=off)


def _towers(folder: Path, document: Mapping[str, Any], files: ReportFiles) -> ReportSection:
    scheme, way = document["headline"], document["way"]
    own = {
        (row["group"], row["flux"]): row
        for row in document["groups"]
        if row["by"] == "tower" and row["scheme"] == scheme and row["way"] == way
    }
    held = {
        (row["group"], row["flux"]): row["share"]
        for row in (document["coverage"] or {"groups": []})["groups"]
        if row["by"] == "tower"
    }
    fluxes = document["fluxes"]
    data = [
        [one["tower"], one["igbp"], one["lat"], one["lon"]]
        + [value for flux in fluxes for found in [own.get((one["tower"], flux), {})]
           for value in (found.get("n", 0), found.get("nse"), found.get("bias"), held.get((one["tower"], flux)))]
        for one in document["towers"]
    ]  # fmt: skip
    heads = ["tower", "igbp", "lat", "lon"]
    keys = ("n", "nse", "bias", "held")
    files.table("upscaling_towers", [*heads, *(f"{key}_{flux}" for flux in fluxes for key in keys)], data)
    table = plain_table(
        ["tower", "class", *(f"{flux.upper()} {what}" for flux in fluxes for what in ("months", "NSE"))],
        [[row[0], row[1], *(cell for n in range(len(fluxes)) for cell in (f"{row[4 + 4 * n]:,}", text(row[5 + 4 * n])))]
         for row in data],
        2,
    )  # fmt: skip
    nse = picture(folder, "towers_nse.png", "NSE of each tower on a map", files, "benchmark")
    bias = picture(folder, "towers_bias.png", "bias of each tower on a map", files, "benchmark")
    lines = [
        f"{SCHEME_WORDS[scheme][0]}, by {way}. NSE of a tower's own months, against its own mean; bias: predicted less "
        "observed."
    ]
    parts = [
        picture_part("NSE", "", [nse]),
        picture_part("Bias", "", [bias]),
        picture_part("All towers", "Also with bias and intervals: `data/upscaling_towers.csv`.", [], False, table),
    ]
    return pictures_section("towers", "Towers on the map", lines, parts)


def text(value: float | None, decimals: int = 2) -> str:
    """Write a number of a table, a dash where there is none."""
    if value is None:
        return "–"
    return fixed(value, decimals) if abs(value) < LARGE else number(value, 3)
