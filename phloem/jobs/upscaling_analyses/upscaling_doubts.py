"""What of an upscaling is not to be relied on, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from phloem.analysis.style.wording import fixed, number
from phloem.errors import some
from phloem.io.campaign.tile_schema import good_lanes
from phloem.jobs.upscaling.table import UpscalingTable
from phloem.jobs.upscaling.tile_fits import BASELINE

FEW_MEMBERS = 5
"""Below, the spread of members says little."""

FEW_TOWERS = 30
"""Below, conformal intervals rest on few towers."""

SHORT = 0.1
"""By which a group's share may be below the level before it is named: of 90 %, below 80 %."""

PREDICTED = 0.1
"""NSE of departures from the mean cycle below which they are hardly predicted."""

BALANCED = 0.005
"""PgC yr-1 up to which a residual is rounding of a product."""


def upscaling_doubts(
    root: Path, table: UpscalingTable, status: np.ndarray, units: list[str], document: Mapping[str, Any] | None
) -> list[str]:
    """Return what is not to be relied on.

    Args:
        root: of the campaign.
        table: of the upscaling.
        status: of each unit and member, (units, members).
        units: names.
        document: benchmark.json; None where there is none.
    """
    found = list(_fits(root, status, units))
    if document is not None:
        found += [*_schemes(table, document), *_skill(document), *_coverage(document), *_towers(document)]
        found += [*_parts(document), *_net_exchange(document), *_products(document)]
    return found


def _fits(root: Path, status: np.ndarray, units: list[str]) -> Iterator[str]:
    good = good_lanes(status)
    if not good.all():
        lost = [f"{units[place]} member {member}" for place, member in np.argwhere(~good).tolist()]
        yield f"{len(lost)} of {good.size} fits are missing: {some(lost)}. `phloem run {root}` goes on."
    if status.shape[1] < FEW_MEMBERS:
        yield (
            f"{status.shape[1]} members: the spread between them, and what intervals take from it, are of too few; "
            "more are `campaign.members`."
        )


def _schemes(table: UpscalingTable, document: Mapping[str, Any]) -> Iterator[str]:
    if "tower" not in table.cv:
        yield (
            "No tower was left out as a whole (`experiment.cv` has no \"tower\"): nothing here tells of the skill at "
            "places without a tower."
        )  # fmt: skip
    count = len(document["towers"])
    if count < FEW_TOWERS:
        yield f"{count} towers: scores, intervals and importance are of few places."


def _of(document: Mapping[str, Any], scheme: str, name: str = "nse") -> dict[tuple[str, str], float | None]:
    return {
        (row["way"], row["flux"]): row[name] for row in document["scores"] if row["scheme"] == scheme
    }  # fmt: skip


def _skill(document: Mapping[str, Any]) -> Iterator[str]:
    scheme, way = document["headline"], document["way"]
    scores = _of(document, scheme)
    for flux in document["fluxes"]:
        own, base = scores[way, flux], scores[BASELINE, flux]
        if own is None:
            continue
        if base is not None and own < base:
            yield (
                f"{flux.upper()}: at {document['meaning'][scheme]} the {way} models do worse than the process baseline "
                f"alone (NSE {fixed(own, 2)} against {fixed(base, 2)})."
            )
        learned = {name: scores[name, flux] for name in document["ways"] if name != BASELINE}
        known = {name: value for name, value in learned.items() if value is not None}
        best = max(known, key=lambda name: known[name])
        if best != way and known[best] > own + 0.01:
            yield (
                f"{flux.upper()}: maps are made by {way} (NSE {fixed(own, 2)}), but {best} does better at "
                f"{document['meaning'][scheme]} ({fixed(known[best], 2)}); `experiment.use` chooses."
            )
    if "row" in document["schemes"] and scheme != "row":
        rows = _of(document, "row")
        gaps = [
            f"{flux.upper()} {fixed(seen, 2)} against {fixed(unseen, 2)}"
            for flux in document["fluxes"]
            if (seen := rows[way, flux]) is not None and (unseen := scores[way, flux]) is not None
        ]
        if gaps:
            yield (
                f"Scores of random rows are of towers that were seen, and no skill elsewhere: NSE of rows against that "
                f"of {document['meaning'][scheme]}: {', '.join(gaps)}."
            )


def _coverage(document: Mapping[str, Any]) -> Iterator[str]:
    coverage, least = document["coverage"], document["choice"]["benchmark"]["least"]
    if coverage is None:
        return
    level = coverage["level"]
    for flux in document["fluxes"]:
        short = [
            f"{row['group']} ({fixed(100 * row['share'], 0)} % of {row['n']:,} months, {row['towers']} "
            f"tower{'s' if row['towers'] > 1 else ''})"
            for row in coverage["groups"]
            if row["flux"] == flux
            and row["by"] in ("class", "season", "climate")
            and row["n"] >= least
            and row["share"] < level - SHORT
        ]
        if short:
            yield (
                f"{flux.upper()}: intervals of {fixed(100 * level, 0)} % hold less than "
                f"{fixed(100 * (level - SHORT), 0)} % in {', '.join(short)}."
            )


def _towers(document: Mapping[str, Any]) -> Iterator[str]:
    for flux in document["fluxes"]:
        rows = [
            row
            for row in document["groups"]
            if row["by"] == "tower"
            and row["flux"] == flux
            and row["scheme"] == document["headline"]
            and row["way"] == document["way"]
            and row["nse"] is not None
        ]
        bad = sorted((row for row in rows if row["nse"] < 0), key=lambda row: float(row["nse"]))
        if bad:
            yield (
                f"{flux.upper()}: at {len(bad)} of {len(rows)} towers the tower's own mean would be the better guess "
                f"(NSE below 0): {some([row['group'] for row in bad])}."
            )


def _parts(document: Mapping[str, Any]) -> Iterator[str]:
    poor = {
        row["flux"]: row["nse"]
        for row in document["groups"]
        if row["by"] == "part"
        and row["group"] == "anomalies"
        and row["scheme"] == document["headline"]
        and row["way"] == document["way"]
        and row["nse"] is not None
        and row["nse"] < PREDICTED
    }
    if poor:
        each = ", ".join(f"{flux.upper()} {fixed(nse, 2)}" for flux, nse in poor.items())
        yield (
            f"Departures from the mean cycle of the year are hardly predicted (NSE {each}): trends and variability "
            "between years of maps are to be read with care."
        )


def _net_exchange(document: Mapping[str, Any]) -> Iterator[str]:
    found = document["net_exchange"]
    if found is not None and found["between"]["nse"] is not None:
        yield (
            "NEE that is learned and RECO − GPP are not one and the same: at "
            f"{document['meaning'][document['headline']]} r² (Pearson) {_text(found['between']['r2_pearson'])} and NSE "
            f"{_text(found['between']['nse'])} between them; against observed NEE the first has NSE "
            f"{_text(found['direct']['nse'])}, the second {_text(found['indirect']['nse'])}."
        )


def _products(document: Mapping[str, Any]) -> Iterator[str]:
    products = document["products"]
    if not products:
        return
    outside = products.get("outside")
    if outside:
        share = fixed(100 * outside, 0)
        yield f"{share} % of the product's months lie outside of the area of applicability (`inside` = 0)."
    if products["mass"] is None:
        return
    open_ones = {
        name: one["absolute"]
        for name, one in products["mass"]["identities"].items()
        if one["absolute"] is not None and one["absolute"] > BALANCED
    }
    if open_ones:
        each = ", ".join(f"{name} {number(value, 2)}" for name, value in open_ones.items())
        yield f"Carbon of the products does not add up (absolute residuals, PgC yr⁻¹): {each}."
    closure = products["mass"]["stock_closure"]
    if closure and closure["imbalance"] is not None and abs(closure["imbalance"]) > BALANCED:
        yield f"NEP and the change of stocks differ by {number(closure['imbalance'], 2)} PgC yr⁻¹ on the mean of years."


def _text(value: float | None) -> str:
    return "–" if value is None else fixed(value, 2)
