"""What an upscaling says of months that it had not seen: scores, coverage, and the towers on a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from phloem.analysis.flux_skill.conformal import Coverage, leave_tower_out_coverage
from phloem.analysis.flux_skill.flux_scores import scores_of
from phloem.analysis.flux_skill.left_out_figures import ObservedPredicted
from phloem.analysis.flux_skill.score_breakdown import coverage_rows, group_rows, score_rows
from phloem.errors import InputError, did_you_mean
from phloem.io.flux_towers.tower_quantities import FLUXES, IGBP, QUANTITIES
from phloem.jobs.config.upscaling_benchmark_file import UpscalingBenchmarkSection
from phloem.jobs.upscaling.interval_places import interval_groups, interval_scheme
from phloem.jobs.upscaling.merged_predictions import MergedUpscaling
from phloem.jobs.upscaling.tile_fits import BASELINE
from phloem.jobs.upscaling.tower_scores import (
    HEADLINE,
    MEANINGS,
    common_rows,
    member_band,
    member_spread,
)


@dataclass(frozen=True)
class Compared:
    """What is compared.

    Attributes:
        schemes: of cross-validation.
        ways: of learning, the baseline first.
        fluxes: names.
        way: by which observed and predicted are drawn, and whose intervals are looked at.
        scheme: of the headline: towers never seen, where they were left out.
    """

    schemes: tuple[str, ...]
    ways: tuple[str, ...]
    fluxes: tuple[str, ...]
    way: str
    scheme: str


def compared(upscaling: MergedUpscaling, choice: UpscalingBenchmarkSection) -> Compared:
    """Return what is compared.

    Raises:
        InputError: a scheme, way or flux that the campaign has not; the valid ones are named.
    """
    table = upscaling.table
    schemes = _chosen(choice.schemes, table.cv, "scheme", "experiment.cv")
    ways = _chosen(choice.ways, table.learn, "way", "experiment.learn")
    fluxes = _chosen(choice.fluxes, table.fluxes, "flux", "experiment.fluxes")
    way = table.applied_way if table.applied_way in ways else ways[-1]
    return Compared(
        schemes, (BASELINE, *ways), fluxes, way, HEADLINE if HEADLINE in schemes else interval_scheme(table) or
        schemes[0],
    )  # fmt: skip


def _chosen(named: Sequence[str], valid: Sequence[str], what: str, where: str) -> tuple[str, ...]:
    for name in named:
        if name not in valid:
            raise InputError(f"{what} {name!r}: {where} has {', '.join(valid)}.{did_you_mean(name, valid)}")
    return tuple(one for one in valid if not named or one in named)


@dataclass(frozen=True, eq=False)
class TowerPlaces:
    """Towers that have months.

    Attributes:
        names: (towers,).
        latitude, longitude: degrees, (towers,).
        igbp: plant class, empty where unknown.
    """

    names: tuple[str, ...]
    latitude: np.ndarray
    longitude: np.ndarray
    igbp: tuple[str, ...]


def tower_places(upscaling: MergedUpscaling) -> TowerPlaces:
    """Return the towers that have months, in the order of the table."""
    rows = upscaling.data.rows
    there, first = np.unique(rows.site, return_index=True)
    numbers = np.asarray(rows.columns["igbp"])[first]
    return TowerPlaces(
        tuple(rows.sites[number] for number in there.tolist()),
        np.asarray(rows.columns["lat"], float)[first],
        np.asarray(rows.columns["lon"], float)[first],
        tuple(IGBP[int(number) - 1] if np.isfinite(number) else "" for number in numbers),
    )


def scores_document(upscaling: MergedUpscaling, chosen: Compared) -> dict[str, Any]:
    """Return `scores`, `groups`, `towers` and `meaning` of benchmark.json, from the scores that merge wrote."""
    by_way = upscaling.by_way()
    what = by_way, chosen.ways, chosen.schemes, chosen.fluxes
    places = tower_places(upscaling)
    return {
        "meaning": {scheme: MEANINGS[scheme] for scheme in chosen.schemes},
        "scores": score_rows(*what),
        "groups": group_rows(*what),
        "towers": [
            {"tower": name, "lat": lat, "lon": lon, "igbp": igbp}
            for name, lat, lon, igbp in zip(
                places.names, places.latitude.tolist(), places.longitude.tolist(), places.igbp, strict=True
            )
        ],
    }


def coverage_document(upscaling: MergedUpscaling, chosen: Compared) -> tuple[dict[str, Any] | None, list[str]]:
    """Return `coverage` of benchmark.json, of the way that is applied, and what could not be said, in words.

    Its `fluxes` are as scores.json has them; its `groups` are measured here.
    """
    table, data, found = upscaling.table, upscaling.data, upscaling.found
    scheme = interval_scheme(table)
    if scheme is None:
        return None, [
            "no intervals: neither towers nor boxes were left out (experiment.cv), so that nothing tells how far "
            "models are off at places never seen"
        ]
    groups: list[dict[str, Any]] = []
    fluxes: dict[str, Any] = {}
    rows_of_one = interval_groups(table, data.rows, data.left_out, scheme)
    for flux in chosen.fluxes:
        members = found.of(scheme, chosen.way, flux)
        low, high = member_band(members)
        observed = np.asarray(data.rows.observed[flux])
        coverage: Coverage = leave_tower_out_coverage(
            observed,
            found.mean(scheme, chosen.way, flux),
            member_spread(members),
            rows_of_one,
            table.level,
            band=(low, high),
        )
        fluxes[flux] = coverage.to_json()
        groups += coverage_rows(flux, coverage, (low <= observed) & (observed <= high), data.rows)
    return {"scheme": scheme, "way": chosen.way, "level": table.level, "fluxes": fluxes, "groups": groups}, []


def pairs_of(upscaling: MergedUpscaling, chosen: Compared) -> list[list[ObservedPredicted]]:
    """Return observed and predicted months that are scored, a row a flux and a column a scheme."""
    by_way = upscaling.by_way()
    return [
        [
            ObservedPredicted(
                flux=flux,
                unit=QUANTITIES[FLUXES[flux]].unit,
                words=MEANINGS[scheme].split(",")[0],
                observed=np.asarray(upscaling.data.rows.observed[flux], float),
                predicted=np.where(
                    common_rows(upscaling.found, scheme, flux), upscaling.found.mean(scheme, chosen.way, flux), np.nan
                ),
                score=by_way[chosen.way][scheme][flux],
            )
            for scheme in chosen.schemes
        ]
        for flux in chosen.fluxes
    ]


def net_exchange_document(upscaling: MergedUpscaling, chosen: Compared) -> dict[str, Any] | None:
    """Return `net_exchange` of benchmark.json: NEE by its own models against RECO - GPP, at what was left out.

    Returns:
        `direct` and `indirect`: scores of both against observed NEE over the months that have all three fluxes;
        `between`: scores of the second against the first. None without the three fluxes.
    """
    if not {"gpp", "reco", "nee"} <= set(upscaling.found.fluxes):
        return None
    mean = {flux: upscaling.found.mean(chosen.scheme, chosen.way, flux) for flux in ("gpp", "reco", "nee")}
    observed = np.asarray(upscaling.data.rows.observed["nee"], float)
    indirect = mean["reco"] - mean["gpp"]
    both = np.where(np.isfinite(indirect), observed, np.nan)
    return {
        "direct": scores_of("nee", mean["nee"], both),
        "indirect": scores_of("nee", indirect, np.where(np.isfinite(mean["nee"]), observed, np.nan)),
        "between": scores_of("nee", indirect, mean["nee"]),
    }
