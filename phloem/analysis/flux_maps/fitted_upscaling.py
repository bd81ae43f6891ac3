"""Fitted models of fluxes with their intervals and their area of applicability: what is applied to any place."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from phloem.analysis.flux_maps.given_columns import given_columns
from phloem.analysis.flux_skill.conformal import Conformal
from phloem.analysis.flux_skill.dissimilarity import Applicability
from phloem.analysis.upscaling.baseline_fluxes import respiration_factor
from phloem.analysis.upscaling.conditions import NEEDED
from phloem.analysis.upscaling.flux_rows import Columns
from phloem.analysis.upscaling.member_model import MemberModel
from phloem.analysis.upscaling.network_member import FittedNetworks
from phloem.analysis.upscaling.place_climate import complete_rows
from phloem.analysis.upscaling.predictor_columns import CLASSES, MEASURED, predictor_table
from phloem.analysis.upscaling.upscaling_settings import BaselineOptions
from phloem.errors import InputError

LEAVES = (("FAPAR",), ("NDVI",), ("LAI",), ("ndvi_min", "ndvi_max"))
"""Columns that tell of leaves, each of them enough for the baselines (`conditions_of`)."""

SPREAD = (0.05, 0.95)
"""Quantiles of the members between which the ensemble spreads (uflux.md section 5)."""


@dataclass(frozen=True, eq=False)
class Applied:
    """Fluxes of places, by flux float32 (rows,), NaN where a place lacks what is needed.

    Attributes:
        mean: over the members.
        lower, upper: ends of the conformal interval.
        spread_lower, spread_upper: 5th and 95th percentile of the members, which is no interval of the flux.
        dissimilarity: index against the towers, (rows,).
        inside: whether a row is within the area of applicability, bool (rows,).
    """

    mean: Mapping[str, np.ndarray]
    lower: Mapping[str, np.ndarray]
    upper: Mapping[str, np.ndarray]
    spread_lower: Mapping[str, np.ndarray]
    spread_upper: Mapping[str, np.ndarray]
    dissimilarity: np.ndarray
    inside: np.ndarray


@dataclass(frozen=True, eq=False)
class FittedUpscaling:
    """Models of fluxes as fitted to all towers.

    Attributes:
        way: of `WAYS`, by which they predict.
        options: of the baselines.
        predictors: that any member sees, in the order of the index of dissimilarity.
        needed: columns without which nothing is predicted.
        members: models of each flux; none where networks predict all fluxes.
        networks: that predict all fluxes; None where trees do.
        intervals: of each flux, calibrated at towers that were left out.
        applicability: where there are towers like it.
    """

    way: str
    options: BaselineOptions
    predictors: tuple[str, ...]
    needed: tuple[str, ...]
    members: Mapping[str, Sequence[MemberModel]]
    networks: FittedNetworks | None
    intervals: Mapping[str, Conformal]
    applicability: Applicability

    @property
    def fluxes(self) -> tuple[str, ...]:
        """Names of the fluxes."""
        return tuple(self.intervals)

    @property
    def leaves(self) -> tuple[tuple[str, ...], ...]:
        """Columns of which one, or one pair, tells of leaves where baselines are part of the models; else none."""
        return () if self.way == "direct" else LEAVES

    @property
    def seen(self) -> tuple[str, ...]:
        """Columns that predictors are made of, those apart that follow from what is needed."""
        classes = [name for name, members in CLASSES.items() if set(members) & set(self.predictors)]
        rain = ["P"] if any(name.startswith("P_") or name == "aridity" for name in self.predictors) else []
        named = dict.fromkeys([*self.predictors, *rain, *classes])
        return tuple(name for name in named if name in (*MEASURED, *classes))

    @property
    def optional(self) -> tuple[str, ...]:
        """Columns that are used where they are there: towers lack them too."""
        named = dict.fromkeys([*self.seen, "LAI", "FAPAR", "NDVI", "RNET", "PA", *OF_PLACE])
        return tuple(name for name in named if name not in self.needed)

    def apply(self, columns: Columns, place: np.ndarray | None = None) -> Applied:
        """Predict the fluxes of rows; negative values stay. Where no flux can be told, no row is inside.

        Models read what the other months of a place tell (`place_climate`), so give all that it has; months that lack
        something count too. Other places change nothing.

        Args:
            columns: drivers, by name (rows,); those that are optional may be missing.
            place: number of the place of each row, int64 (rows,); by default rows of one `lat` and `lon` are of one
                place.

        Raises:
            InputError: a column that is needed is not there, one that is not known, or a value that there cannot be.
        """
        if absent := [name for name in self.needed if name not in columns]:
            raise InputError(f"fluxes need {', '.join(self.needed)}; {', '.join(absent)} not there")
        if self.leaves and not any(set(names) <= columns.keys() for names in self.leaves):
            raise InputError(f"fluxes need leaves: one of {in_words(self.leaves)}; none of them is there")
        columns = given_columns(columns)
        count = len(columns["month"])
        given = {name: np.full(count, np.nan) for name in self.optional} | dict(columns)
        complete = complete_rows(given, places_of(columns) if place is None else place, self.options)
        given, conditions, fixed = dict(complete.columns), complete.conditions, complete.fixed
        factor = respiration_factor(conditions, self.options)
        table = predictor_table(given, conditions, fixed, self.fluxes[0], self.predictors)
        lacking = ~np.all([np.isfinite(given[name]) for name in self.needed], axis=0)
        means, bands, ends = {}, {}, {}
        together = {} if self.networks is None else self.networks.predict(table, given, conditions)
        for flux in self.fluxes:
            found = together[flux] if together else np.stack([
                self._predict(member, table, member.baseline(given, conditions, fixed, factor))
                for member in self.members[flux]
            ])  # fmt: skip
            found[:, lacking] = np.nan
            means[flux] = found.mean(0)
            bands[flux] = np.quantile(found, SPREAD, axis=0).astype(np.float32)
            low, high = self.intervals[flux].interval(means[flux], found.std(0))
            ends[flux] = low.astype(np.float32), high.astype(np.float32)
        nothing = np.all([np.isnan(values) for values in means.values()], axis=0)
        index = np.where(nothing, np.float32(np.nan), self.applicability.index(table))
        return Applied(
            mean={flux: values.astype(np.float32) for flux, values in means.items()},
            lower={flux: pair[0] for flux, pair in ends.items()},
            upper={flux: pair[1] for flux, pair in ends.items()},
            spread_lower={flux: pair[0] for flux, pair in bands.items()},
            spread_upper={flux: pair[1] for flux, pair in bands.items()},
            dissimilarity=index,
            inside=np.asarray(self.applicability.applies(index)),
        )

    def _predict(self, member: MemberModel, table: np.ndarray, baseline: np.ndarray) -> np.ndarray:
        """Return what one member says, (rows,)."""
        chosen = [self.predictors.index(name) for name in member.predictors]
        return member.predict_table(np.take(table, chosen, axis=1), baseline)[self.way]

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return all of it as arrays by name, for a file."""
        facts = {
            "way": self.way,
            "options": asdict(self.options),
            "predictors": self.predictors,
            "needed": self.needed,
            "members": {flux: len(members) for flux, members in self.members.items()},
            "fluxes": self.fluxes,
        }
        arrays = {"facts": np.array([json.dumps(facts)])}
        if self.networks is not None:
            arrays["networks"] = np.frombuffer(self.networks.to_bytes(), np.uint8)
        for flux, members in self.members.items():
            arrays |= {
                f"model.{flux}.{number:03d}": np.frombuffer(member.to_bytes(), np.uint8)
                for number, member in enumerate(members)
            }
        for flux, interval in self.intervals.items():
            arrays |= {f"interval.{flux}.{name}": one for name, one in interval.to_arrays().items()}
        return arrays | {f"applicability.{name}": one for name, one in self.applicability.to_arrays().items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> FittedUpscaling:
        """Return what `to_arrays` wrote."""
        facts = json.loads(str(arrays["facts"][0]))
        return cls(
            way=facts["way"],
            options=BaselineOptions(**facts["options"]),
            predictors=tuple(facts["predictors"]),
            needed=tuple(facts["needed"]),
            members={
                flux: [MemberModel.from_bytes(arrays[f"model.{flux}.{n:03d}"].tobytes()) for n in range(count)]
                for flux, count in facts["members"].items()
            },
            networks=FittedNetworks.from_bytes(arrays["networks"].tobytes()) if "networks" in arrays else None,
            intervals={flux: Conformal.from_arrays(_within(arrays, f"interval.{flux}.")) for flux in facts["fluxes"]},
            applicability=Applicability.from_arrays(_within(arrays, "applicability.")),
        )


OF_PLACE = ("elevation", "c4_fraction", "ndvi_min", "ndvi_max", "fapar_max", "koppen", "igbp", "lat")
"""Columns of a place that baselines and predictors read."""


def in_words(alternatives: Sequence[Sequence[str]]) -> str:
    """Return alternatives, each of one or several columns, as a text."""
    return ", ".join(" with ".join(names) for names in alternatives)


def places_of(columns: Columns) -> np.ndarray:
    """Return the place of each row, int64 (rows,): those of one latitude and longitude are of one.

    Args:
        columns: of the rows.
    """
    where = [columns[name] for name in ("lat", "lon") if name in columns]
    if not where:
        return np.zeros(len(columns["month"]), np.int64)
    found: np.ndarray = np.unique(np.stack(where, axis=1), axis=0, return_inverse=True)[1]
    return found.reshape(-1).astype(np.int64)


def needed_columns(columns: Columns) -> tuple[str, ...]:
    """Return the columns that an application cannot do without: those of the baselines, and `month`.

    Args:
        columns: of the towers.
    """
    return tuple(dict.fromkeys(["month", "lat", *NEEDED])) if "lat" in columns else ("month", *NEEDED)


def _within(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
