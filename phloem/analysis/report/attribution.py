"""Attribution in the report: skill of the predictors for each quantity, the leading ones, and their curves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phloem.analysis.report.figures.attribution_charts import (
    dependence_chart,
    direction,
    group_colours,
    importance_chart,
    partition_chart,
    pca_chart,
    screen_chart,
    signals,
)
from phloem.analysis.report.files import ReportFiles, slug
from phloem.analysis.report.sections import ReportSection, refuse_malformed, render
from phloem.analysis.style.wording import duration, fixed, number, typeset

PAPER = {
    "leaf_lifespan": ("0.76", "needle-leaved evergreens first (+); broad-leaved summergreens strongly negative"),
    "npp_leaf": (
        "0.60",
        "needle-leaved deciduous first (rises, then level); VPD rises from 0.1 to 0.35 kPa, then falls; bulk density "
        "+; annual temperature rises from −10 to 0 °C, then level",
    ),
    "turnover_wood": (
        "0.44",
        "climate 67.2 %; radiation first (+); coldest month: level below −25 °C, steep above −20 °C; annual "
        "temperature +; sharp fall in alkaline soil",
    ),
    "npp_wood": (
        "0.26 to 0.34?",
        "climate 71.5 %; VPD first (rises, falls abruptly above about 0.35 kPa); annual temperature +; radiation; − "
        "with the seasonality of both",
    ),
    "npp_root": ("low", "high at both ends of VPD; rises where soil C:N is above 25; rises in the cold"),
}
"""R2 of random cross-validation, and what leads, in Wu et al. 2026, whose text gives other ranges in other places."""


def attribution_section(documents: Mapping[str, tuple[Path, Mapping[str, Any]]], files: ReportFiles) -> ReportSection:
    """Return the section on attribution.

    Args:
        documents: by campaign, the folder and the attribution.json of `phloem attribute`; empty where it was not run.
        files: takes charts and tables.

    Raises:
        WorkError: an attribution.json is not what `phloem attribute` writes.
    """
    parts = []
    for title, (folder, document) in documents.items():
        with refuse_malformed(folder / "attribution.json", "attribute"):
            parts.append(_part(title, document, files, len(documents) > 1))
    return ReportSection("attribution", "What drives the parameters", render("attribution.html", parts=parts))


def _part(title: str, document: Mapping[str, Any], files: ReportFiles, several: bool) -> dict[str, Any]:
    targets = [one for one in document["targets"] if not one.get("refused")]
    colours = group_colours([entry["group"] for entry in document["predictors"]])
    lead = f"{slug(title)}_" if several else ""
    charts: dict[str, Any] = {"importance": None, "partition": None, "screen": None, "pca": None}
    if targets:
        charts["importance"] = _keep(files, importance_chart(targets, colours), lead)
    parted = [one for one in targets if one.get("partition")]
    if parted:
        charts["partition"] = _keep(files, partition_chart(parted, colours), lead)
    screens, pca = document.get("identifiability"), document.get("pca")
    if screens and screens["mad"]["rows"]:
        charts["screen"] = _keep(files, screen_chart(screens), lead)
    if pca and not pca.get("refused") and pca.get("loadings"):
        charts["pca"] = _keep(files, pca_chart(pca), lead)
    _tables(document, targets, files, lead)
    return {
        "title": title if several else "",
        "cells": document["cells"],
        "seconds": duration(document.get("seconds")),
        "left_out": [(entry["name"], entry["finding"]) for entry in document["predictors"] if entry.get("finding")],
        "rows": [_row(one) for one in document["targets"]],
        "groups": [
            (name, colour)
            for name, colour in colours.items()
            if any(e["group"] == name for e in document["predictors"])
        ],
        "charts": charts,
        "dependence": [
            {
                "title": one["long_name"] or one["name"],
                "chart": _keep(files, dependence_chart(one), lead),
                "finding": one.get("finding") or "",
                "points": _breakpoints(one),
                "paper": PAPER.get(one["name"], ("", ""))[1],
            }
            for one in targets
            if one["dependence"]
        ],
        "pca_refused": (pca or {}).get("refused"),
        "settings": _settings(document.get("settings") or {}),
    }


def _keep(files: ReportFiles, drawing: Any, lead: str) -> Any:
    """Keep a chart under a name that no other campaign's has."""
    return files.drawing(type(drawing)(drawing.figure, f"{lead}{drawing.name}", drawing.label), own_size=True)


def _row(target: Mapping[str, Any]) -> dict[str, Any]:
    """How well the predictors explain a target, and the shares of the groups."""
    paper = PAPER.get(target["name"], ("", ""))
    row: dict[str, Any] = {
        "title": target["long_name"] or target["name"],
        "unit": "" if target["units"] == "1" else typeset(target["units"]),
        "refused": target.get("refused"),
        "paper": paper[0],
    }
    if row["refused"]:
        return row
    random, blocked = target["random"], target.get("blocked")
    members = (target.get("r2_members") or {}).get("random")
    return {
        **row,
        "cells": f"{target['cells_used']:,}",
        "unconverged": f"{target['cells_unconverged']:,}",
        "r2": _fixed(random["r2"], 2),
        "r2_sd": _fixed(random.get("r2_sd"), 2),
        "members": f"{_fixed(members[0], 2)} to {_fixed(members[1], 2)}" if members else "–",
        "blocked": _fixed(blocked["r2"], 2) if blocked else "–",
        "blocked_refused": target.get("blocked_refused") or "",
        "rmse": _number(random["rmse"]),
        "floor": _fixed(target.get("noise_floor"), 1),
        "groups": ", ".join(
            f"{group['group']} {_fixed(group['signal_share'], 1)} "
            f"({_fixed(group.get('signal_low'), 0)} to {_fixed(group.get('signal_high'), 0)})"
            for group in target["groups"]
            if group["signal_share"]
        )
        or "–",
        "finding": target.get("finding") or "",
        "leading": ", ".join(
            f"{entry['predictor']} {_fixed(entry['share'], 0)} % ({direction(entry) or '–'})"
            for entry in [entry for entry in target["importance"] if entry["signal"]][:3]
        )
        or "none stands out from the noise",
    }


def _breakpoints(target: Mapping[str, Any]) -> list[str]:
    """Say where the trends of those predictors bend that stand out from the noise."""
    known = signals(target)
    return [_breakpoint(entry) for entry in target["dependence"] if entry["predictor"] in known]


def _breakpoint(entry: Mapping[str, Any]) -> str:
    """Say where a trend bends."""
    point, unit = entry.get("breakpoint"), typeset(entry.get("units") or "")
    unit = "" if unit == "1" else f" {unit}"
    if not point or point.get("x") is None:
        return f"{entry['predictor']}: no breakpoint"
    text = f"{entry['predictor']}: bends at {_number(point['x'], 3)}{unit}"
    if point.get("low") is None or point.get("high") is None:
        return text
    return f"{text} ({_number(point['low'], 3)} to {_number(point['high'], 3)})"


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in settings.items() if value not in ([], None))


def _tables(document: Mapping[str, Any], targets: list[Mapping[str, Any]], files: ReportFiles, lead: str) -> None:
    keys = ["predictor", "group", "share", "low", "high", "signal", "direction"]
    rows = ([one["name"], *(entry.get(key) for key in keys)] for one in targets for entry in one["importance"])
    files.table(f"{lead}attribution_importance", ["target", *keys], rows)
    columns = ["target", "cells_used", "r2_random", "rmse_random", "r2_blocked", "rmse_blocked", "noise_floor"]
    scores = (
        [
            one["name"], one["cells_used"], one["random"]["r2"], one["random"]["rmse"],
            *((one.get("blocked") or {}).get(key) for key in ("r2", "rmse")), one.get("noise_floor"),
        ]
        for one in targets
    )  # fmt: skip
    files.table(f"{lead}attribution_scores", columns, scores)
    curves = ("x", "trend", "low", "high", "boot_low", "boot_high")
    trends = (
        [one["name"], entry["predictor"], *point]
        for one in targets
        for entry in one["dependence"]
        for point in zip(*[entry[key] or [None] * len(entry["x"]) for key in curves], strict=True)
    )
    files.table(f"{lead}attribution_dependence", ["target", "predictor", *curves], trends)


def _fixed(value: float | None, decimals: int) -> str:
    return fixed(float("nan") if value is None else value, decimals)


def _number(value: float | None, digits: int = 4) -> str:
    return number(float("nan") if value is None else value, digits)
