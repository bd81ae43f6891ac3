"""The land of a synthetic Earth: places with climate and plants, and the boxes that they lie in.

The real land is that of half-degree products; the made-up planet is a formula of latitude, longitude and seed. Both
come as `Places`, and everything behind reads those alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import netCDF4
import numpy as np

from phloem.errors import InputError
from phloem.io.patches.patch_store import box_name
from phloem.jobs.config.globe_file import BOX, Globe
from phloem.jobs.synthetic.globe.smooth_fields import smooth_field
from phloem.names import PREDICTOR_GROUPS

PFTS = PREDICTOR_GROUPS["PFT"]
MOST_WATER, MOST_BARE = 0.5, 0.2
"""Shares of water and of ground without plants up to which a cell is one of land (Fang et al.)."""

LEAST_VALID = 0.1
"""Share of valid cells from which on a box is a patch (Fang et al.)."""

FILES = ("global_static_pft_ndvi.nc", "global_climatology_itur.nc")
"""Of the folder `global` of PHLOEM_DATA."""

MONTHS = 12


@dataclass(frozen=True, eq=False)
class Places:
    """Valid cells of land.

    Attributes:
        latitude, longitude: of the centres, degrees, (cells,).
        elevation: m, (cells,).
        pft: shares of `PFTS`, per cent of the land, (10, cells).
        temperature: climatology of the months, degC, (12, cells).
        rain: the same, mm d-1.
    """

    latitude: np.ndarray
    longitude: np.ndarray
    elevation: np.ndarray
    pft: np.ndarray
    temperature: np.ndarray
    rain: np.ndarray

    def __len__(self) -> int:
        return len(self.latitude)

    def take(self, positions: np.ndarray) -> Places:
        """Return some of the cells."""
        return Places(*(getattr(self, name)[..., positions] for name in self.__dataclass_fields__))


@dataclass(frozen=True, eq=False)
class LandBox:
    """A box with enough land.

    Attributes:
        south, west: its edges, degrees.
        positions: of its cells among all places, from south to north and from west to east.
    """

    south: float
    west: float
    positions: np.ndarray

    @property
    def name(self) -> str:
        """Name of the patch."""
        return box_name(self.south, self.west)


def land(choice: Globe, data: Path | None) -> Places:
    """Return all valid cells of the Earth that was chosen.

    Args:
        choice: real or made up.
        data: folder of the real data sets.

    Raises:
        InputError: the real land is asked for, and its files are not there.
    """
    return _real(data) if choice.geography == "real" else _made_up(choice)


def boxes(places: Places, choice: Globe) -> list[LandBox]:
    """Return the boxes that are patches, from south to north and from west to east.

    Args:
        places: all valid cells.
        choice: how many boxes, and how many cells of each.

    Raises:
        InputError: the Earth has fewer.
    """
    height, width = BOX
    lines, columns = choice.shape
    row, column = np.floor((places.latitude + 90) / height), np.floor((places.longitude + 180) / width)
    inside = np.floor((places.latitude + 90 - height * row) / choice.step) * columns
    inside += np.floor((places.longitude + 180 - width * column) / choice.step)
    if choice.cells:
        kept = np.linspace(0, lines * columns - 1, choice.cells).round()
        chosen = np.flatnonzero(np.isin(inside, kept))
    else:
        chosen = np.arange(len(places))
    order = chosen[np.lexsort((inside[chosen], column[chosen], row[chosen]))]
    key = row[order] * 360 + column[order]
    starts = np.flatnonzero(np.r_[True, np.diff(key) != 0])
    found = [
        LandBox(float(height * row[part[0]] - 90), float(width * column[part[0]] - 180), part)
        for part in np.split(order, starts[1:])
        if len(part) >= LEAST_VALID * choice.rows
    ]
    if choice.patches > len(found):
        raise InputError(f"patches = {choice.patches}: this Earth has {len(found)} of at least a tenth of land")
    if not choice.patches:
        return found
    return [found[int(n)] for n in np.linspace(0, len(found) - 1, choice.patches).round()]


def _real(data: Path | None) -> Places:
    folder = None if data is None else data / "global"
    missing = [name for name in FILES if folder is None or not (folder / name).is_file()]
    if folder is None or missing:
        where = "PHLOEM_DATA is not set" if folder is None else f"{folder}: no {', '.join(missing)}"
        raise InputError(
            f'geography = "real": {where}. Set PHLOEM_DATA to the folder whose folder `global` holds '
            f'{" and ".join(FILES)}, or choose geography = "made-up", which needs no data.'
        )
    with netCDF4.Dataset(str(folder / FILES[0])) as file:
        file.set_auto_mask(False)
        latitude, longitude, names = file["lat"][:], file["lon"][:], [str(name) for name in file["pft"][:]]
        share = file["pft_fraction"][:][[names.index(name) for name in PFTS]]
        water, elevation = file["water_fraction"][:], file["elevation"][:]
    with netCDF4.Dataset(str(folder / FILES[1])) as file:
        file.set_auto_mask(False)
        temperature, rain = file["temperature"][:], file["precipitation"][:]
    whole = np.isfinite(temperature).all(0) & np.isfinite(rain).all(0) & np.isfinite(share).all(0)
    valid = whole & np.isfinite(elevation) & (water <= MOST_WATER) & (share[PFTS.index("NVG")] <= MOST_BARE)
    line, column = np.nonzero(valid)
    plants = share[:, valid]
    return Places(
        latitude=np.asarray(latitude[line], float),
        longitude=np.asarray(longitude[column], float),
        elevation=np.asarray(elevation[valid], float),
        pft=100 * plants / plants.sum(0),
        temperature=np.asarray(temperature[:, valid], float),
        rain=np.asarray(np.maximum(rain[:, valid], 0.0), float),
    )


SOUTH, NORTH = -56.0, 76.0
"""Edges of the made-up land, degrees."""

SHORE = 0.35
"""Of the field of land from which on there is some: about a third of the planet."""

HABITATS: dict[str, tuple[float, float, float, float, float]] = {
    "NF": (-2, 7, 600, 0.5, 0.3), "DBF": (11, 5, 1000, 0.4, 0.0), "EBF": (26, 5, 2000, 0.4, 0.4),
    "MF": (6, 6, 850, 0.4, 0.0), "SH": (10, 15, 280, 0.5, 0.0), "SAV": (23, 7, 950, 0.45, 0.2),
    "GRA": (9, 13, 420, 0.5, 0.2), "WET": (4, 12, 1000, 0.5, -0.9), "CRO": (15, 7, 720, 0.4, 0.0),
    "NVG": (18, 20, 40, 0.6, 0.0),
}  # fmt: skip
"""Where types of plants live on the made-up planet: best mean temperature and its width (degC), best rain (mm yr-1) and
its width (of its logarithm), and how common they are."""


def _made_up(choice: Globe) -> Places:
    latitude, longitude = (
        one.ravel()
        for one in np.meshgrid(
            np.arange(SOUTH + choice.step / 2, NORTH, choice.step),
            np.arange(-180 + choice.step / 2, 180, choice.step),
            indexing="ij",
        )
    )
    shore = smooth_field(choice.seed, "land", 2500, latitude, longitude)
    shore = shore + 0.25 * smooth_field(choice.seed, "shore", 500, latitude, longitude)
    is_land = shore > SHORE
    latitude, longitude, inland = latitude[is_land], longitude[is_land], np.tanh(shore[is_land] - SHORE)

    def field(name: str, scale_km: float) -> np.ndarray:
        return smooth_field(choice.seed, name, scale_km, latitude, longitude)

    elevation = 80 + 350 * np.exp(0.9 * field("mountains", 900)) * inland
    north = np.deg2rad(latitude)
    mean = 28 - 42 * np.sin(north) ** 2 - 0.0055 * elevation + 1.5 * field("warmth", 1500)
    swing = (2 + 30 * np.sin(np.abs(north)) ** 1.5) * (0.35 + 0.65 * inland)
    middle = (np.arange(MONTHS) + 0.5) / MONTHS * 2 * np.pi
    summer = -np.cos(middle - 0.45)[:, None] * np.sign(latitude)
    temperature = mean + 0.5 * swing * summer
    belts = (
        5.5 * np.exp(-((latitude / 12) ** 2)) + 2.6 * np.exp(-(((np.abs(latitude) - 48) / 16) ** 2)) + 0.35
    ) * np.exp(0.55 * field("rain", 1300) - 0.5 * inland)
    season = np.clip(0.85 - np.abs(latitude) / 60, 0.1, 0.75) * (0.6 + 0.4 * np.tanh(field("monsoon", 2000)))
    rain = belts * (1 + season * summer)
    yearly = np.log(365 * rain.mean(0))
    score = np.stack(
        [
            common
            - ((mean - best) / width) ** 2
            - ((yearly - np.log(wet)) / breadth) ** 2
            + field(f"plants {name}", 700)
            for name, (best, width, wet, breadth, common) in HABITATS.items()
        ]
    )
    weight = np.exp(1.3 * (score - score.max(0)))
    plants = 100 * weight / weight.sum(0)
    valid = np.flatnonzero(plants[PFTS.index("NVG")] <= 100 * MOST_BARE)
    return Places(latitude, longitude, elevation, plants, temperature, rain).take(valid)
