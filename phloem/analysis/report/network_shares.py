"""The section of a training's report that answers: plant type or environment?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phloem.analysis.network.set_up_partition import LEVEL, LITTLE, NAMES
from phloem.analysis.report.files import ReportFiles
from phloem.analysis.report.network_scores import picture, stream_words
from phloem.analysis.report.sections import ReportSection, refuse_malformed, render
from phloem.analysis.style.wording import fixed
from phloem.errors import some

RESULT = "attribution.json"
FEW = 5
"""Networks of a set-up below which an interval over draws of them is too narrow to be believed."""


def verdict(pooled: Mapping[str, Any]) -> str:
    """Say which of the two explains more of a stream, as far as the interval goes.

    Args:
        pooled: the part of attribution.json on a stream's shares.
    """
    pft = next(row for row in pooled["groups"] if row["group"] == "PFT")
    fewest = min(row["members"] for row in pooled["scores"])
    few = f" (of {fewest} networks of a set-up only)" if fewest < FEW else ""
    if pooled["total"] is None or pooled["total"] < LITTLE:
        return "next to nothing is explained"
    if pft["share"] is None:
        return "nothing to share out"
    if pft["low"] is None or pft["high"] is None:
        more = "plant type" if pft["share"] > 0.5 else "environment"
        return f"{more}, with no interval (one network of a set-up)"
    if pft["low"] > 0.5:
        return f"plant type explains more{few}"
    return f"environment explains more{few}" if pft["high"] < 0.5 else f"undecided, the interval holds one half{few}"


def answers(document: Mapping[str, Any]) -> list[str]:
    """Return the answer in a few sentences, from an attribution.json."""
    groups: dict[str, list[str]] = {}
    for one in document["partition"]:
        if one["pooled"]:
            groups.setdefault(verdict(one["pooled"]), []).append(stream_words(one["stream"]))
    if not groups:
        return ["It cannot be said: no stream's explained variance could be shared out."]
    return [f"{', '.join(names)}: {what}." for what, names in groups.items()]


def shares_section(found: tuple[Path, Mapping[str, Any]] | None, files: ReportFiles) -> ReportSection:
    """Return the section.

    Args:
        found: folder of the attribution and its attribution.json; None where there is none.
        files: takes figures and the table.

    Raises:
        WorkError: the attribution is not what `phloem attribute` writes.
    """
    title = "Plant type or environment?"
    if found is None:
        return ReportSection("shares", title, render("network_shares.html", refused=True), warn=True)
    folder, document = found
    with refuse_malformed(folder / RESULT, "attribute"):
        parts = document["partition"]
        shared = [one for one in parts if one["pooled"]]
        mapped = [one for one in parts if one["by_place"]]
        files.table(
            "network_shares",
            ["stream", "r2", "group", "independent", "joint", "share", "low", "high", "truth", "places_led"],
            [_data(one, row) for one in shared for row in one["pooled"]["groups"]],
        )
        refused: dict[str, list[str]] = {}
        for one in parts:
            if one["refused"]:
                refused.setdefault(one["refused"], []).append(stream_words(one["stream"]))
        left_out = [f"{', '.join(streams)}: {why}" for why, streams in refused.items()]
        pictures = [
            picture(folder, f"dominance_{one['stream']}.png", f"dominance, {one['stream']}", files, "attribution")
            for one in mapped
        ]
        mixed = [
            f"{stream_words(one['stream'])} {fixed(one['by_place']['mixed_cover']['rho'], 2)}"
            for one in mapped
            if one["by_place"]["mixed_cover"] and one["by_place"]["mixed_cover"]["rho"] is not None
        ]
        body = render(
            "network_shares.html",
            refused=False,
            answers=answers(document),
            level=f"{100 * LEVEL:g}",
            groups=NAMES,
            rows=[_row(one) for one in shared],
            truth=any(one["truth"] for one in shared),
            shares=picture(folder, "shares.png", "shares of explained variance", files, "attribution"),
            left_out=left_out or ([] if shared else [line for line in document["left_out"] if "shares" in line]),
            maps=[one for one in pictures if one],
            mixed=", ".join(mixed),
            constant="; ".join(
                f"{stream_words(one['stream'])} of {some(one['constant'])}" for one in shared if one["constant"]
            ),
        )
    return ReportSection("shares", title, body, warn=not shared)


def share_text(share: float | None, low: float | None, high: float | None) -> str:
    """Write a share in per cent with its interval, where there is one."""
    if share is None:
        return "–"
    ends = "" if low is None or high is None else f" ({fixed(100 * low, 0)} to {fixed(100 * high, 0)})"
    return f"{fixed(100 * share, 0)}{ends}"


def _data(one: Mapping[str, Any], row: Mapping[str, Any]) -> list[Any]:
    led = {group["group"]: group["fraction"] for group in (one["by_place"] or {"groups": []})["groups"]}
    truth = (one["truth"] or {}).get(row["group"])
    numbers = [row[key] for key in ("independent", "joint", "share", "low", "high")]
    return [one["stream"], one["pooled"]["total"], row["group"], *numbers, truth, led.get(row["group"])]


def _row(one: Mapping[str, Any]) -> dict[str, Any]:
    pooled, mapped, truth = one["pooled"], one["by_place"], (one["truth"] or {}).get("PFT")
    rows = {row["group"]: row for row in pooled["groups"]}
    leads = above = "–"
    if mapped:
        ends = mapped["intervals"]
        fraction = next(row["fraction"] for row in mapped["groups"] if row["group"] == "PFT")
        leads = share_text(fraction, *ends["fraction"]["PFT"])
        above = share_text(mapped["pft_above_environment"], *ends["pft_above_environment"])
    return {
        "stream": stream_words(one["stream"]),
        "total": "–" if pooled["total"] is None else fixed(pooled["total"], 2),
        "shares": [share_text(rows[name]["share"], rows[name]["low"], rows[name]["high"]) for name in NAMES],
        "environment": share_text(pooled["environment_share"], pooled["environment_low"], pooled["environment_high"]),
        "truth": "–" if truth is None else fixed(100 * truth, 0),
        "leads": leads,
        "above": above,
        "verdict": verdict(pooled),
    }
