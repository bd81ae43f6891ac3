"""Patches of towers: monthly forcing and fluxes with predictors, towers near each other in one patch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from phloem.errors import InputError
from phloem.io.clustered_towers.tower_clusters import clusters_within
from phloem.io.clustered_towers.tower_predictors import SitePredictors
from phloem.io.ingest.ingest_folder import Dropped
from phloem.io.monthly.monthly_cells import MonthlyCells
from phloem.io.monthly.monthly_file import Monthly
from phloem.io.patches.stored_patch import StoredPatch
from phloem.names import PATCH_FORCING

FLUXES = {"tower_gpp": "gpp", "tower_reco": "reco", "tower_et": "et"}
"""Labels of towers, and the streams of a monthly file."""

TOWER_LABELS = (*FLUXES, "lai", "biomass", "soil_carbon")
"""Labels that a file of towers can give."""

NO_PREDICTORS = "not in the file of predictors"
TOO_FEW = "too few months of fluxes"

MOST_WATER, MOST_BARE = 50.0, 20.0
"""Per cent of its grid cell beyond which a tower's cell would be no valid cell of the global model; counted alone."""

_YEAR = 12
_CO2_SPREAD = 2.0
"""ppm between sites from which on it is told that their mean is taken."""


@dataclass(frozen=True)
class TowerRules:
    """What towers are taken, and what of them.

    Attributes:
        labels: streams, of `TOWER_LABELS`.
        withheld: whether values that the file withholds from calibrations are labels too.
        least_months: months with any flux that a tower needs.
        within_km: distance up to which towers are of one patch.
    """

    labels: tuple[str, ...] = TOWER_LABELS
    withheld: bool = False
    least_months: int = 12
    within_km: float = 100.0


@dataclass(frozen=True, eq=False)
class TowerPatches:
    """Towers that are taken, and their patches.

    Attributes:
        monthly: the monthly file.
        places: positions of the towers there, from south to north and west to east, (towers,).
        sites: their positions in the predictors, (towers,).
        cluster: of each tower, (towers,).
        labels: by stream, (places, months), and (places,) of what has no months; of all places of the file.
        burned: share of the area a month, (places, months).
        co2: ppm, (months,).
        predictors: of the sites.
        dropped: towers that were left out, and why.
        notes: for the log.
    """

    monthly: Monthly
    places: np.ndarray
    sites: np.ndarray
    cluster: np.ndarray
    labels: dict[str, np.ndarray]
    burned: np.ndarray
    co2: np.ndarray
    predictors: SitePredictors
    dropped: list[Dropped]
    notes: list[str]

    @property
    def rows(self) -> int:
        """Towers of the largest patch."""
        return int(np.bincount(self.cluster).max())

    def patches(self) -> Iterator[tuple[StoredPatch, tuple[float, float]]]:
        """Yield each patch, named for the first of its towers by name, and its south-western corner."""
        for number in range(int(self.cluster.max()) + 1):
            patch = self._patch(np.flatnonzero(self.cluster == number))
            yield patch, (float(patch.latitude.min()), float(patch.longitude.min()))

    def _patch(self, chosen: np.ndarray) -> StoredPatch:
        file, places, sites = self.monthly, self.places[chosen], self.sites[chosen]
        names = tuple(file.names[place] for place in places.tolist())
        series = {**file.values, "burned_area": self.burned}
        labels = {stream: values[places].T for stream, values in self.labels.items()}
        return StoredPatch(
            name=min(names),
            cells=names,
            latitude=file.latitude[places],
            longitude=file.longitude[places],
            predictors={name: values[sites] for name, values in self.predictors.values.items()},
            forcing={name: np.broadcast_to(series[name], self.burned.shape)[places].T for name in PATCH_FORCING},
            labels={stream: values for stream, values in labels.items() if np.isfinite(values).any()},
        )


def tower_patches(cells: MonthlyCells, predictors: SitePredictors, rules: TowerRules) -> TowerPatches:
    """Decide which towers are taken, with which labels, and which of them are of one patch.

    Args:
        cells: places of a monthly file with complete forcing.
        predictors: of sites, matched by name.
        rules: what is taken.

    Raises:
        InputError: a site stands elsewhere in the other file, a name that is no name of a file, or no tower is left.
    """
    file = cells.monthly
    notes = [note for note in cells.notes if not note.startswith(("soil_carbon:", "biomass_snapshot:"))]
    labels = _labels(cells, rules, notes)
    sites = predictors.at(
        [file.names[place] for place in cells.kept.tolist()], file.latitude[cells.kept], file.longitude[cells.kept]
    )
    fluxes = [np.isfinite(labels[name]) for name in FLUXES if name in labels]
    months = np.logical_or.reduce(fluxes).sum(1)[cells.kept] if fluxes else np.zeros(len(cells.kept), int)
    dropped = list(cells.dropped)
    taken = (sites >= 0) & (months >= rules.least_months)
    for place, site, count in zip(cells.kept.tolist(), sites.tolist(), months.tolist(), strict=True):
        where = file.names[place], float(file.latitude[place]), float(file.longitude[place])
        if site < 0:
            dropped.append((*where, NO_PREDICTORS, ""))
        elif count < rules.least_months:
            dropped.append((*where, TOO_FEW, f"{count}; {rules.least_months} are due"))
    places, sites = cells.kept[taken], sites[taken]
    if not len(places):
        raise InputError(f"{file.path}: no tower is left of {len(file.names)}: {dropped[0][3] if dropped else ''}")
    for name in (file.names[place] for place in places.tolist()):
        if "/" in name or name.startswith("."):
            raise InputError(f"{file.path}: site {name!r}: a patch is a file of that name; leave out / and a first dot")
    notes += [*predictors.notes, *_oddities(predictors, sites)]
    cluster = clusters_within(file.latitude[places], file.longitude[places], rules.within_km)
    return TowerPatches(
        file,
        places,
        sites,
        cluster,
        labels,
        _burned(file, notes),
        _co2(file, places, notes),
        predictors,
        dropped,
        notes,
    )


def _labels(cells: MonthlyCells, rules: TowerRules, notes: list[str]) -> dict[str, np.ndarray]:
    """Return the labels of all places."""
    file, found = cells.monthly, {}
    streams = {**FLUXES, "lai": "lai"}
    for label, stream in streams.items():
        if label not in rules.labels:
            continue
        values = cells.observations[stream].astype(float)
        held = cells.withheld.get(stream)
        count = 0 if held is None else int(np.isfinite(held).sum())
        if held is not None and rules.withheld:
            values = np.where(np.isfinite(held), held, values)
            notes.append(f"{label}: {count} values that the file withholds are labels too")
        elif count:
            notes.append(f"{label}: {count} values that the file withholds are no labels")
        if np.isfinite(values).any():
            found[label] = values
    if "biomass" in rules.labels and "biomass" in file.values:
        found["biomass"] = _whole_years(file.values["biomass"].astype(float), notes)
    if "soil_carbon" in rules.labels and "soil_carbon" in file.values:
        found["soil_carbon"] = file.values["soil_carbon"][:, -1].astype(float)
    return found


def _whole_years(values: np.ndarray, notes: list[str]) -> np.ndarray:
    """Return biomass that stands in some months of a year as the mean of all its months, as the loss compares it."""
    years = values.reshape(len(values), -1, _YEAR)
    known = np.isfinite(years)
    some_months = known.any(2) & ~known.all(2)
    if some_months.any():
        notes.append(f"biomass: {int(some_months.sum())} years with some months: their mean stands in all twelve")
    mean = np.where(known, years, 0.0).sum(2) / np.maximum(known.sum(2), 1)
    return np.where(some_months[..., None], mean[..., None], years).reshape(values.shape)


def _burned(file: Monthly, notes: list[str]) -> np.ndarray:
    shape = len(file.names), len(file.lengths)
    if "burned_area" not in file.values:
        notes.append("burned_area: not in the file; taken as 0 in all months")
        return np.zeros(shape)
    burned = np.broadcast_to(file.values["burned_area"], shape)
    holes = ~np.isfinite(burned)
    if holes.any():
        notes.append(f"burned_area: missing in {int(holes.sum())} months of towers; taken as 0 there")
    return np.where(holes, 0.0, burned)


def _co2(file: Monthly, places: np.ndarray, notes: list[str]) -> np.ndarray:
    """Return the towers' mean of each month."""
    values = np.broadcast_to(file.values["co2"], (len(file.names), len(file.lengths)))[places].astype(float)
    spread = float((values.max(0) - values.min(0)).max())
    if spread > _CO2_SPREAD:
        notes.append(f"co2: differs by up to {spread:.1f} ppm between towers; their mean is taken")
    mean: np.ndarray = values.mean(0)
    return mean


def _oddities(predictors: SitePredictors, sites: Sequence[int] | np.ndarray) -> list[str]:
    """Count towers whose grid cell would be no valid cell of the global model; they are kept."""
    wet = int((predictors.water[sites] > MOST_WATER).sum())
    bare = int((predictors.values["NVG"][sites] > MOST_BARE).sum())
    found = {f"more than {MOST_WATER:g} % water": wet, f"more than {MOST_BARE:g} % without vegetation": bare}
    return [f"{count} towers stand in cells with {what}; they are kept" for what, count in found.items() if count]
