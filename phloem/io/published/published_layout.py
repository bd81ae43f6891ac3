"""The data files of the public DifferLand_Global code: their variables, and which of them are taken.

One NetCDF file with all maps on one grid, (time, lat, lon) and (lat, lon), and beside it a table of CO2, two masks and
the index that splits the patches (docs/published_patches.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from phloem.names import PREDICTOR_GROUPS, PREDICTORS

BOX = (4.0, 5.0)
"""Height and width of a patch, degrees; its edges count from the south pole and the date line."""

FORCING = {
    "tasmin": "T_min", "tasmax": "T_max", "rsds": "SOLR", "vpd": "VPD", "pr": "PREC", "burned_area": "BURNED_AREA",
}  # fmt: skip
"""Forcing here, and in the file."""

PREDICTOR_NAMES = {name: name for name in PREDICTORS} | {
    "forest_age": "tree_age_000_filled", "bulk_density": "BULK_DEN", "sand": "SAND", "silt": "SILT", "clay": "CLAY",
    "gravel": "GRAVEL",
}  # fmt: skip
"""Predictors here, and in the file."""

NONE = "none"
"""In the place of a label: that stream is not taken."""

LABEL_CHOICES: dict[str, tuple[str, ...]] = {
    "sif": ("LCSPP",),
    "nbe": ("NBE", "CAMS_NBE"),
    "lai": ("LAI", "LAI_COPERNICUS"),
    "water_storage": ("LWE_normalized",),
    "biomass": ("agb_yan+bgb_yan", "IB_AGC+IB_BGC"),
    "fire": ("GFED_FIRE_EMISSION", "fire_emission"),
    "soil_carbon": ("initial_som",),
    "vod": (NONE,),
    "tower_gpp": ("gpp_fluxnet", "gpp_fluxnet_10percent", "gpp_fluxnet_50percent"),
    "tower_reco": ("reco_fluxnet", "reco_fluxnet_10percent", "reco_fluxnet_50percent"),
    "tower_et": ("et_fluxnet", "et_fluxnet_10percent", "et_fluxnet_50percent"),
    "et": ("ET",),
}
"""What the public code compares each stream with; the first is its default. A sum is written with +."""

WEIGHTED = ("tower_gpp", "tower_reco", "tower_et")
"""Streams whose labels have weights in a variable of their own."""


def weight_name(label: str) -> str:
    """Return the variable that holds the weights of a label of towers, as gpp_fluxnet_weight_10percent."""
    base, mark, threshold = label.rpartition("_")
    return f"{base}_weight_{threshold}" if mark and threshold.endswith("percent") else f"{label}_weight"


@dataclass(frozen=True)
class PublishedPaths:
    """Files of that layout.

    Attributes:
        maps: forcing, predictors and labels.
        co2: table with a column `average`, whose row i is month i.
        valid: variable `era_valid`, true where a cell is used.
        index: variable `run_simulation_idx`, (run, lat, lon): one number a patch, negative where it is held out.
        bulk: variable `assimilate_bulk_variable`, false where NBE and water storage are not compared.
    """

    maps: Path
    co2: Path
    valid: Path
    index: Path
    bulk: Path


@dataclass(frozen=True)
class PublishedChoice:
    """What is taken of such files.

    Attributes:
        labels: variable of each stream, a sum with +, or `none`; default: the first of `LABEL_CHOICES`.
        units: of variables whose attribute is wrong, by their names in the file.
        groups: of predictors that a cell must have; MAT and MAP are always needed.
        first_month: where the file's times do not say it.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = tuple(PREDICTOR_GROUPS)
    first_month: str = ""

    def parts(self) -> dict[str, tuple[str, ...]]:
        """Return the variables that are added up to each stream that is taken."""
        chosen = {stream: self.labels.get(stream, usual[0]) for stream, usual in LABEL_CHOICES.items()}
        return {
            stream: tuple(part.strip() for part in text.split("+")) for stream, text in chosen.items() if text != NONE
        }


@dataclass(frozen=True, eq=False)
class PublishedAxes:
    """The grid and the months of such files.

    Attributes:
        step: of the cells, degrees.
        latitude, longitude: of the rows and columns, ascending.
        first_month: a January.
        months: number of them.
        co2: ppm, (months,).
    """

    step: float
    latitude: np.ndarray
    longitude: np.ndarray
    first_month: np.datetime64
    months: int
    co2: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        return len(self.latitude), len(self.longitude)

    @property
    def box(self) -> tuple[int, int]:
        """Rows and columns of a patch."""
        return round(BOX[0] / self.step), round(BOX[1] / self.step)

    @property
    def boxes(self) -> tuple[int, int]:
        """Boxes from south to north, and from west to east."""
        return self.shape[0] // self.box[0], self.shape[1] // self.box[1]

    def corner(self, row: int, column: int) -> tuple[float, float]:
        """Return latitude and longitude of the south-western corner of a box."""
        south, west = float(self.latitude[0]) - 0.5 * self.step, float(self.longitude[0]) - 0.5 * self.step
        return round(south + row * BOX[0], 4) + 0.0, round(west + column * BOX[1], 4) + 0.0


@dataclass(frozen=True, eq=False)
class PublishedSurvey:
    """What is known of such files before their months are read.

    Attributes:
        paths: the files.
        choice: what is taken of them.
        axes: grid and months.
        usable: cells that are valid, of a patch, and have the predictors that they must have, (rows, columns).
        lacking: cells that are valid and of a patch but lack predictors.
        bulk: false where NBE and water storage are not compared, (rows, columns).
        predictors: by their names here, (rows, columns).
        index: number of each box in each run, NaN where it is no patch, (runs, boxes south to north, west to east).
        factors: factor and offset that lead to the unit here, by variable of the file.
        notes: for the log.
    """

    paths: PublishedPaths
    choice: PublishedChoice
    axes: PublishedAxes
    usable: np.ndarray
    lacking: np.ndarray
    bulk: np.ndarray
    predictors: Mapping[str, np.ndarray]
    index: np.ndarray
    factors: Mapping[str, tuple[float, float]]
    notes: Sequence[str]
