"""Cells of a store: land that meets the requirements, with the constants of each cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.grid_cell import cell_name
from phloem.io.files.atomic import hdf5_image, read_hdf5, write_atomically
from phloem.io.grids.file_grid import Boxes, gather, grid_boxes
from phloem.io.grids.placed_cells import DEFAULT_STEP
from phloem.io.ingest.mature_forest import LEAST, PERCENTILE, find_mature_forest
from phloem.io.products.box_means import box_means
from phloem.io.products.forcing import Forcing
from phloem.io.products.raw_files import OpenFiles
from phloem.io.products.series import ProductSeries
from phloem.io.references.growth_curves import read_growth_curves, richards_chapman, total_biomass

CARBON_OF_LEAVES = 0.5
"""Carbon in leaf dry matter, g g-1 (docs/ingest.md#what-becomes-of-them)."""

_LOOK = 64
"""Cells at once in which it is looked for a pixel: all of them together took 240 MB."""

_AT_ONCE = 5_000
"""Cells of which forcing is looked at together."""

NO_CURVE, NO_RATIO, NO_FOREST = "no growth curve", "no root:shoot ratio", "no mature forest"
"""Reasons for which land is left out before its forcing is read."""


@dataclass
class Domain:
    """The cells of a store, from south to north and from west to east.

    Attributes:
        latitude, longitude: of the centres, float64 (cells,).
        statics: numbers of the cells by name, float64 (cells,), NaN where there is none.
        trajectory: live biomass at ages 1, 2, ..., gC m-2, float32 (cells, ages); one age of NaN without
            growth curves.
        kept: pixels of the mature forest, or None where all of a cell counts.
        dropped: land that was left out: name, latitude, longitude, reason and details.
        sea: cells of the region without any forcing.
        step: size of the cells in degrees.
    """

    latitude: np.ndarray
    longitude: np.ndarray
    statics: dict[str, np.ndarray]
    trajectory: np.ndarray
    kept: Boxes | None
    dropped: list[tuple[str, float, float, str, str]]
    sea: int
    step: float = DEFAULT_STEP

    def __len__(self) -> int:
        return len(self.latitude)

    @property
    def names(self) -> list[str]:
        """Names of the cells."""
        return [cell_name(lat, lon, self.step) for lat, lon in zip(self.latitude, self.longitude, strict=True)]

    def keep(self, mask: np.ndarray, reason: str, details: Callable[[int], str] = lambda cell: "") -> None:
        """Leave out the cells where a mask is false, and remember why."""
        names = self.names
        for cell in np.flatnonzero(~mask):
            place = float(self.latitude[cell]), float(self.longitude[cell])
            self.dropped.append((names[cell], *place, reason, details(int(cell))))
        owners = np.flatnonzero(mask)
        self.kept = self.kept.only(owners) if self.kept is not None else None
        self.latitude, self.longitude = self.latitude[mask], self.longitude[mask]
        self.statics = {name: values[mask] for name, values in self.statics.items()}
        self.trajectory = self.trajectory[mask]

    def extent(self, step: float) -> str:
        """Return the extent of the cells, for messages."""
        half = 0.5 * step
        return (
            f"latitude {self.latitude.min() - half:.6g} to {self.latitude.max() + half:.6g}, longitude "
            f"{self.longitude.min() - half:.6g} to {self.longitude.max() + half:.6g}"
        )

    def boxes(self, cells: np.ndarray, step: float, filtered: bool) -> Boxes:
        """Return the boxes over which means of some cells are taken: their mature forest, or all of them."""
        if filtered and self.kept is not None:
            return self.kept.only(cells)
        return grid_boxes(self.latitude[cells], self.longitude[cells], step)


def region_cells(step: float, south: float, north: float, west: float, east: float) -> tuple[np.ndarray, np.ndarray]:
    """Return centres of the cells of a region, from south to north and from west to east: latitude and longitude."""
    lat = -90.0 + (np.arange(round(180.0 / step)) + 0.5) * step
    lon = -180.0 + (np.arange(round(360.0 / step)) + 0.5) * step
    lat = lat[(lat > south) & (lat < north)]
    lon = lon[(lon > west) & (lon < east)] if west < east else lon[(lon > west) | (lon < east)]
    if not len(lat) or not len(lon):
        raise InputError(f"store.region: holds no centre of a cell of {step:g} degrees")
    rows, columns = np.meshgrid(lat, lon, indexing="ij")
    return rows.reshape(-1), columns.reshape(-1)


def find_land(forcing: Forcing, files: OpenFiles, latitude: np.ndarray, longitude: np.ndarray, step: float) -> Domain:
    """Return the cells in which any variable of the forcing has a value on the first step of the store."""
    land = np.zeros(len(latitude), bool)
    for first in range(0, len(latitude), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        boxes = grid_boxes(latitude[some], longitude[some], step)
        for key, series in forcing.series.items():
            pixels = gather(series.grid, boxes, len(boxes))
            begin = forcing.starts[key]
            land[some] |= ~np.isnan(series.read(files, pixels, begin, begin + 1)[0])
    if not land.any():
        raise InputError(
            f"{forcing.lead.where(forcing.starts[forcing.lead.key])}: no cell of the region has forcing; the files "
            f"cover {forcing.lead.grid.extent}"
        )
    none = np.full((int(land.sum()), 1), np.nan, np.float32)
    return Domain(latitude[land], longitude[land], {}, none, None, [], int((~land).sum()), step)


def check_covered(domain: Domain, series: ProductSeries, step: float) -> None:
    """Refuse a product whose grid does not meet any cell.

    Raises:
        InputError: no pixel of it lies in any cell.
    """
    for first in range(0, len(domain), _LOOK):
        some = slice(first, first + _LOOK)
        boxes = grid_boxes(domain.latitude[some], domain.longitude[some], step)
        if (gather(series.grid, boxes, len(boxes)).weights > 0).any():
            return
    raise _not_covered(domain, series, step, "covers no cell of the store")


def _not_covered(domain: Domain, series: ProductSeries, step: float, what: str) -> InputError:
    layout = series.layouts[0]
    return InputError(
        f"{layout.path}: variable {layout.name} of [products.{series.choice.name}] {what}: it reaches over "
        f"{series.grid.extent}, the store's {len(domain)} cells over {domain.extent(step)}"
    )


def read_layer(domain: Domain, series: ProductSeries, files: OpenFiles, step: float, budget: int) -> np.ndarray:
    """Return means of a static layer over the cells, in its unit, NaN outside its physical range; float64 (cells,).

    Raises:
        InputError: no value in any cell, or hardly any value is possible: another unit.
    """
    half = 0.5 * step
    check_covered(domain, series, step)
    values = box_means(series, files, domain.latitude - half, domain.longitude - half, step, budget)
    quantity = series.quantity
    wrong = (values < quantity.lowest) | (values > quantity.highest)
    seen = int((~np.isnan(values)).sum())
    if not seen:
        raise _not_covered(domain, series, step, "has no value in any cell of the store")
    if wrong.sum() > 0.01 * seen:
        cell = int(np.flatnonzero(wrong)[0])
        layout = series.layouts[0]
        raise InputError(
            f"{layout.path}: variable {layout.name}: {values[cell]:g} {quantity.unit} at {domain.names[cell]}, outside "
            f"{quantity.lowest:g}..{quantity.highest:g}, as are {int(wrong.sum())} of {seen} cells; the file says "
            f"{layout.unit!r}"
        )
    values[wrong] = np.nan
    return values.astype(np.float32).astype(np.float64)


def add_growth(
    domain: Domain,
    source: Path | Mapping[str, ProductSeries],
    files: OpenFiles,
    step: float,
    ages: int,
    budget: int,
    required: bool,
) -> None:
    """Give the cells their growth curves; leave out those without one where it is required.

    Args:
        domain: changed in place.
        source: a table, or maps of `amax`, `k` and `c`.
        files: open files.
        step: size of the cells.
        ages: years of the trajectory.
        budget: bytes that may be used.
        required: whether cells without a curve are left out.

    Raises:
        InputError: a table or a map that cannot be used.
    """
    above = np.full((len(domain), ages), np.nan)
    ratio = domain.statics.get("root_shoot", np.full(len(domain), np.nan)).copy()
    shape = {key: np.full(len(domain), np.nan) for key in ("amax", "k", "c")}
    if isinstance(source, Path):
        if step != 0.5:
            raise InputError(f"{source}: curves of half-degree cells; store.step = {step:g}")
        curves = read_growth_curves(source)
        for cell, place in enumerate(zip(domain.latitude, domain.longitude, strict=True)):
            curve = curves.get((float(place[0]), float(place[1])))
            if curve is None:
                continue
            above[cell] = curve.yearly(ages)
            for key in shape:
                shape[key][cell] = getattr(curve.shape, key, np.nan)
            if curve.root_shoot is not None:
                ratio[cell] = curve.root_shoot
        if not required and np.isnan(above).all():
            raise InputError(f"{source}: no curve for any of the store's {len(domain)} cells, {domain.extent(step)}")
    else:
        missing = [key for key in shape if key not in source]
        if missing:
            raise InputError(
                f"[products.growth]: no file has {', '.join(missing)}; amax, k and c are due, or a table (CSV)"
            )
        shape = {key: read_layer(domain, source[key], files, step, budget) for key in shape}
        wanted = ~np.isnan(sum(shape.values())) & (shape["amax"] > 0) & (shape["k"] > 0) & (shape["c"] > 0)
        columns = [shape[key][wanted, None] for key in ("amax", "k", "c")]
        above[wanted] = richards_chapman(np.arange(1, ages + 1), *columns)
    domain.statics["root_shoot"] = ratio
    domain.statics |= {f"growth_{key}": values for key, values in shape.items()}
    domain.trajectory = total_biomass(above, ratio[:, None]).astype(np.float32)
    if required:
        domain.keep(~np.isnan(above).any(axis=1), NO_CURVE)
        domain.keep(~np.isnan(domain.statics["root_shoot"]), NO_RATIO)


def add_mature_forest(
    domain: Domain,
    series: ProductSeries,
    files: OpenFiles,
    step: float,
    budget: int,
    required: bool,
    progress: Callable[[int], None],
) -> None:
    """Find the mature forest of the cells and its biomass; leave out those without any where it is required."""
    check_covered(domain, series, step)
    forest = find_mature_forest(series, files, domain.latitude, domain.longitude, step, budget, progress)
    if not forest.known.any():
        raise _not_covered(domain, series, step, "has no value in any cell of the store")
    domain.kept = forest.boxes
    ratio = domain.statics.get("root_shoot", np.full(len(domain), np.nan))
    snapshot = total_biomass(forest.biomass, ratio)
    domain.statics["biomass_snapshot"] = snapshot.astype(np.float32).astype(np.float64)
    if not required:
        return

    def why(cell: int) -> str:
        if np.isnan(forest.percentile[cell]):
            return "no pixel with biomass"
        return (
            f"no pixel exceeds both the {PERCENTILE:g}th percentile, {forest.percentile[cell]:.1f} Mg ha-1, and "
            f"{LEAST:g} Mg ha-1"
        )

    domain.keep(~np.isnan(forest.biomass), NO_FOREST, why)


def save_domain(path: Path, domain: Domain) -> None:
    """Write a domain, so that an ingest that goes on need not look at all maps again."""
    arrays: dict[str, np.ndarray] = {
        "latitude": domain.latitude,
        "longitude": domain.longitude,
        "trajectory": domain.trajectory,
        **{f"static_{name}": values for name, values in domain.statics.items()},
    }
    if domain.kept is not None:
        arrays |= {f"kept_{name}": getattr(domain.kept, name) for name in ("owner", "south", "west")}
    columns = list(zip(*domain.dropped, strict=True)) if domain.dropped else [()] * 5
    for name, values in zip(("name", "latitude", "longitude", "reason", "detail"), columns, strict=True):
        is_place = name in ("latitude", "longitude")
        arrays[f"dropped_{name}"] = np.array(values, float if is_place else object)
    size = domain.kept.size if domain.kept is not None else 0.0
    facts = {"sea": domain.sea, "size": size, "step": domain.step, "statics": list(domain.statics)}
    write_atomically(path, hdf5_image(arrays, facts))


def load_domain(path: Path) -> Domain:
    """Read what `save_domain` wrote.

    Raises:
        CorruptFile: it is not that.
        FileNotFoundError: there is none.
    """
    arrays, facts = read_hdf5(path)
    dropped = [arrays[f"dropped_{name}"] for name in ("name", "latitude", "longitude", "reason", "detail")]
    kept = None
    if "kept_owner" in arrays:
        kept = Boxes(arrays["kept_owner"], arrays["kept_south"], arrays["kept_west"], float(facts["size"]))
    return Domain(
        arrays["latitude"],
        arrays["longitude"],
        {str(name): arrays[f"static_{name}"] for name in np.atleast_1d(facts["statics"])} if facts["statics"] else {},
        arrays["trajectory"],
        kept,
        [(str(a), float(b), float(c), str(d), str(e)) for a, b, c, d, e in zip(*dropped, strict=True)],
        int(facts["sea"]),
        float(facts.get("step", DEFAULT_STEP)),
    )
