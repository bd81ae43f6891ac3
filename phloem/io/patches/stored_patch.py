"""One patch as a store holds it: its cells, their predictors, monthly forcing and labels, in one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from phloem.errors import InputError
from phloem.names import PATCH_FORCING, PATCH_STREAMS, PREDICTORS, STATIC_STREAMS

UNITS = {
    "sif": ("mW m-2 sr-1 nm-1", "solar-induced fluorescence"),
    "nbe": ("g m-2 d-1", "net biosphere exchange of carbon, to the atmosphere"),
    "lai": ("m2 m-2", "leaf area index"),
    "water_storage": ("mm", "anomaly of terrestrial water storage"),
    "biomass": ("g m-2", "carbon of live biomass, above and below ground"),
    "fire": ("g m-2 d-1", "carbon emitted by fire"),
    "soil_carbon": ("g m-2", "soil organic carbon"),
    "vod": ("1", "vegetation optical depth"),
    "tower_gpp": ("g m-2 d-1", "gross primary production at towers, carbon"),
    "tower_reco": ("g m-2 d-1", "ecosystem respiration at towers, carbon"),
    "tower_et": ("mm d-1", "evapotranspiration at towers"),
    "et": ("mm d-1", "evapotranspiration"),
}
"""Units and long names of the labels."""

LABEL_STREAMS = tuple(UNITS)


@dataclass(frozen=True, eq=False)
class StoredPatch:
    """A patch of cells, NaN where a label is missing.

    Attributes:
        name: of the patch, as `box_name` gives it.
        cells: names of its cells, from south to north and from west to east.
        latitude, longitude: of the cells' centres, degrees north and east, (cells,).
        predictors: every one of `names.PREDICTORS`, (cells,); NaN where a map has none.
        forcing: every one of `names.PATCH_FORCING`, (months, cells), without holes.
        labels: streams of `UNITS` by name: (months, cells), of a whole patch (months,), and (cells,) of what has no
            months; a stream without any label may be left out.
        weights: of labels that count for other than 1, as at towers, of the labels' shapes; 0 where there is none.
    """

    name: str
    cells: tuple[str, ...]
    latitude: np.ndarray
    longitude: np.ndarray
    predictors: Mapping[str, np.ndarray]
    forcing: Mapping[str, np.ndarray]
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def months(self) -> int:
        """Number of months of its records."""
        return len(self.forcing[PATCH_FORCING[0]])

    def check(self) -> None:
        """Refuse what no training could read.

        Raises:
            InputError: the message names patch, variable and cell.
        """
        count, months = len(self.cells), self.months
        if not count or len(set(self.cells)) < count:
            raise InputError(f"patch {self.name}: {count} cells, {len(set(self.cells))} names; one for each is due")
        self._complete("predictors", self.predictors, PREDICTORS)
        self._complete("forcing", self.forcing, PATCH_FORCING)
        for name, values in {"latitude": self.latitude, "longitude": self.longitude, **self.predictors}.items():
            self._fits(name, values, (count,))
        for name, values in self.forcing.items():
            self._fits(name, values, (months, count))
            if not np.isfinite(values).all():
                month, cell = np.argwhere(~np.isfinite(values))[0]
                raise InputError(
                    f"patch {self.name}: {name} of cell {self.cells[cell]} is missing in month {month}; forcing has no "
                    "holes"
                )
        for name, values in self.labels.items():
            if name not in UNITS:
                raise InputError(f"patch {self.name}: label {name!r}: valid are {', '.join(UNITS)}")
            self._fits(name, values, shape_of(name, months, count))
        for name, weight in self.weights.items():
            if name not in self.labels:
                raise InputError(f"patch {self.name}: weights of {name!r}, of which it has no labels")
            self._fits(f"weights of {name}", weight, np.shape(self.labels[name]))
            there = np.isfinite(weight) & (weight >= 0)
            if not there.all() or (weight[~np.isfinite(self.labels[name])] > 0).any():
                raise InputError(f"patch {self.name}: weights of {name}: from 0 on, and 0 where there is no label")

    def _complete(self, what: str, found: Mapping[str, np.ndarray], due: tuple[str, ...]) -> None:
        wrong = sorted(set(found).symmetric_difference(due))
        if wrong:
            why = "is missing" if wrong[0] in due else f"is none of {', '.join(due)}"
            raise InputError(f"patch {self.name}: {what}: {wrong[0]!r} {why}")

    def _fits(self, name: str, values: np.ndarray, shape: tuple[int, ...]) -> None:
        if np.shape(values) != shape:
            raise InputError(f"patch {self.name}: {name} has the shape {np.shape(values)}, {shape} is due")


def shape_of(stream: str, months: int, cells: int) -> tuple[int, ...]:
    """Return the shape of a stream's labels in a patch."""
    if stream in PATCH_STREAMS:
        return (months,)
    return (cells,) if stream in STATIC_STREAMS else (months, cells)


def arrays_of(patch: StoredPatch) -> dict[str, np.ndarray]:
    """Return a patch as the arrays of its file; numbers of months in single precision."""
    found = {
        "cell": np.array(patch.cells),
        "latitude": np.asarray(patch.latitude, np.float64),
        "longitude": np.asarray(patch.longitude, np.float64),
        "predictors": np.stack([np.asarray(patch.predictors[name], np.float64) for name in PREDICTORS]),
        "forcing": np.stack([np.asarray(patch.forcing[name], np.float32) for name in PATCH_FORCING]),
    }
    for kind, streams in (("label", patch.labels), ("weight", patch.weights)):
        found |= {f"{kind}_{name}": np.asarray(streams[name], np.float32) for name in UNITS if name in streams}
    return found


def patch_of(arrays: Mapping[str, np.ndarray], name: str) -> StoredPatch:
    """Return the patch of the arrays of its file.

    Raises:
        KeyError: an array is not there.
    """
    kinds = {
        kind: {stream: arrays[f"{kind}_{stream}"] for stream in UNITS if f"{kind}_{stream}" in arrays}
        for kind in ("label", "weight")
    }
    return StoredPatch(
        name=name,
        cells=tuple(np.asarray(arrays["cell"], str).tolist()),
        latitude=arrays["latitude"],
        longitude=arrays["longitude"],
        predictors=dict(zip(PREDICTORS, arrays["predictors"], strict=True)),
        forcing=dict(zip(PATCH_FORCING, arrays["forcing"], strict=True)),
        labels=kinds["label"],
        weights=kinds["weight"],
    )
