"""What `phloem ingest` takes: memory, time, disk. `python -m benchmarks.ingest --cells 10000`.

Writes synthetic products in the layouts of CRU-JRA (6-hourly, 0.5 degree), FluxSat (daily, 0.05), GLEAM (daily, 0.1),
Zeng et al. (10-day, 0.1), GLASS (8-day, 0.05) and ESA CCI Biomass for a square of cells, ingests them in a process
of its own with a stated memory, and prints the peak of its resident memory, seconds, and the size of the store.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np

SOUTH, WEST = 25.0, 30.0
FIRST_YEAR = 1985


def write(
    path: Path,
    name: str,
    unit: str,
    size: float,
    side: int,
    steps: np.ndarray,
    values: Callable[[int, int], np.ndarray],
    time_unit: str = "days since 1985-01-01",
    calendar: str = "standard",
    kind: str = "f4",
    north_first: bool = True,
) -> None:
    """Write one file of a square of `side` half degrees, a block of steps at a time."""
    cells = round(0.5 * side / size)
    lat, lon = SOUTH + size * (np.arange(cells) + 0.5), WEST + size * (np.arange(cells) + 0.5)
    path.parent.mkdir(parents=True, exist_ok=True)
    with netCDF4.Dataset(str(path), "w") as file:
        for axis, coordinate in (("lat", lat[::-1] if north_first else lat), ("lon", lon)):
            file.createDimension(axis, cells)
            file.createVariable(axis, "f8", (axis,))[:] = coordinate
        file.createDimension("time", len(steps))
        axis_of_time = file.createVariable("time", "f8", ("time",))
        axis_of_time.units, axis_of_time.calendar = time_unit, calendar
        axis_of_time[:] = steps
        variable = file.createVariable(name, kind, ("time", "lat", "lon"), fill_value=255 if kind == "u1" else None)
        variable.set_auto_maskandscale(False)
        variable.units = unit
        if kind == "u1":
            variable.scale_factor = 0.1
        block = max(1, 20_000_000 // cells**2)
        for first in range(0, len(steps), block):
            last = min(first + block, len(steps))
            variable[first:last] = values(last - first, cells).astype(kind)


def noisy(seed: int, mean: float, spread: float) -> Callable[[int, int], np.ndarray]:
    """Fields that do not compress better than weather does: noise of 12 bits around a mean, always above 0."""
    rng = np.random.default_rng(seed)

    def values(steps: int, cells: int) -> np.ndarray:
        noise = rng.integers(-2048, 2048, (steps, cells, cells), np.int16)
        return noise.astype(np.float32) * np.float32(spread / 2048.0) + np.float32(mean)

    return values


def _days_before(year: int) -> int:
    return int((np.datetime64(f"{year}-01-01") - np.datetime64("1985-01-01")).astype(int))


def write_products(root: Path, side: int, years: int, observed: int) -> None:
    """All products of a square of side x side cells."""
    fields = {
        "tmp": ("K", 280.0, 12.0),
        "pre": ("mm/6h", 0.6, 0.59),
        "dswrf": ("J/m2", 3e6, 2.9e6),
        "spfh": ("kg/kg", 0.004, 0.001),
        "pres": ("Pa", 98_000.0, 1500.0),
    }
    for year in range(FIRST_YEAR, FIRST_YEAR + years):
        stamps = (year - 1901) * 8760.0 + 6.0 * np.arange(1460)
        for number, (name, (unit, mean, spread)) in enumerate(fields.items()):
            values = noisy(10 * year + number, mean, spread)
            path = root / f"crujra/crujra.v2.2.5d.{name}.{year}.365d.noc.nc"
            write(path, name, unit, 0.5, side, stamps, values, "hours since 1901-01-01", "noleap", north_first=False)
    for year in range(FIRST_YEAR + years - observed, FIRST_YEAR + years):
        first, last = (
            int((np.datetime64(f"{y}-01-01") - np.datetime64("1985-01-01")).astype(int)) for y in (year, year + 1)
        )
        days = np.arange(first, last)
        months = (np.datetime64("1985-01-01") + days).astype("datetime64[M]").astype(int) % 12 + 1
        for month in range(1, 13):
            path = root / f"fluxsat/GPP_FluxSat_daily_v2_{year}{month:02d}.nc4"
            write(path, "GPP", "gC m-2 d-1", 0.05, side, days[months == month], noisy(year + month, 4.0, 3.0))
        for name, mean in (("E", 2.0), ("Ep", 4.0)):
            path = root / f"gleam/{name}_{year}_GLEAM_v4.2a.nc"
            write(path, name, "mm day-1", 0.1, side, days, noisy(year, mean, 1.5))
        dekads = np.concatenate([days[months == month][[0, 10, 20]] for month in range(1, 13)])
        write(root / f"reco/RECO_{year}.nc", "RECO", "gC m-2 day-1", 0.1, side, dekads, noisy(year + 50, 3.0, 2.0))
        for doy in range(1, 362, 8):
            path = root / f"glass/GLASS01B01.V60.A{year}{doy:03d}.2022012.nc"
            write(path, "LAI", "1", 0.05, side, np.array([first + doy - 1]), noisy(year + doy, 30.0, 20.0), kind="u1")
    write(root / "agb.nc", "agb", "Mg/ha", 0.0125, side, np.zeros(1), noisy(3, 120.0, 100.0), kind="i2")
    years_of_co2 = range(FIRST_YEAR, FIRST_YEAR + years)
    (root / "co2.csv").write_text("Year,Mean\n" + "".join(f"{y},{300 + 1.5 * (y - 1950):.2f}\n" for y in years_of_co2))
    rows = [
        f"{SOUTH + 0.25 + 0.5 * row},{WEST + 0.25 + 0.5 * column},220,0.03,1.5,0.25\n"
        for row in range(side)
        for column in range(side)
    ]
    (root / "growth.csv").write_text("latitude,longitude,amax,k,c,root_shoot\n" + "".join(rows))


def write_ingest_file(path: Path, years: int, memory: float, region: tuple[float, ...]) -> None:
    """The ingest file of the products."""
    south, north, west, east = region
    path.write_text(
        f"""[store]
years = [{FIRST_YEAR}, {FIRST_YEAR + years - 1}]
memory_gb = {memory}
region = {{ south = {south}, north = {north}, west = {west}, east = {east} }}
[products]
forcing = {{ path = "crujra/*.nc" }}
co2 = {{ path = "co2.csv" }}
gpp = {{ path = "fluxsat/*.nc4" }}
et = {{ path = "gleam/E_*.nc" }}
potential_et = {{ path = "gleam/Ep_*.nc" }}
reco = {{ path = "reco/*.nc" }}
lai = {{ path = "glass/*.nc" }}
agb = {{ path = "agb.nc" }}
growth = {{ path = "growth.csv" }}
"""
    )


def folder_bytes(root: Path) -> int:
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


def high_water(pid: int) -> int:
    """Peak of a process's resident memory so far, kB; ru_maxrss would count that of its parent too."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
    except OSError:
        return 0


def measure(ingest_file: Path, out: Path, what: str = "drivers") -> dict[str, float]:
    """Ingest in a process of its own: peak of resident memory in MB, and seconds of the wall and of processors."""
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "phloem", "ingest", str(ingest_file), "--out", str(out), "--json", "--what", what],
        stdout=subprocess.PIPE,
        text=True,
    )
    peak = 0
    while process.stdout is not None and not select.select([process.stdout], [], [], 0.1)[0]:
        peak = max(peak, high_water(process.pid))
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"phloem ingest ended with {status}")
    summary = json.loads(output)
    cpu = usage.ru_utime + usage.ru_stime
    return {
        "peak_mb": peak / 1e3,
        "wall_s": time.monotonic() - begun,
        "cpu_s": cpu,
        "cells": summary["cells"],
        "store_mb": summary["bytes"] / 1e6,
        "dropped": sum(summary["dropped"].values()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=10_000, help="of a square: rounded to one")
    parser.add_argument("--years", type=int, default=36)
    parser.add_argument("--observed", type=int, default=2, help="years of observations, the last ones")
    parser.add_argument("--memory", type=float, default=2.0, help="stated memory, GB")
    parser.add_argument("--folder", type=Path, help="keep products and store there; default: a temporary folder")
    options = parser.parse_args()
    side = round(options.cells**0.5)
    root = options.folder or Path(tempfile.mkdtemp(prefix="phloem-ingest-"))
    try:
        begun = time.monotonic()
        if not (root / "growth.csv").exists():
            write_products(root, side, options.years, options.observed)
        raw = folder_bytes(root)
        print(f"products: {raw / 1e9:.1f} GB, made in {time.monotonic() - begun:.0f} s", flush=True)
        region = (SOUTH - 1, SOUTH + 0.5 * side + 1, WEST - 1, WEST + 0.5 * side + 1)
        write_ingest_file(root / "ingest.toml", options.years, options.memory, region)
        shutil.rmtree(root / "store", ignore_errors=True)
        measured = measure(root / "ingest.toml", root / "store")
        print(f"cells {measured['cells']}, left out {measured['dropped']}, years {options.years}/{options.observed}")
        print(f"stated memory {options.memory * 1e3:.0f} MB, peak {measured['peak_mb']:.0f} MB")
        print(
            f"wall {measured['wall_s']:.0f} s, processors {measured['cpu_s']:.0f} s, "
            f"store {measured['store_mb']:.0f} MB"
        )
        if measured["peak_mb"] > options.memory * 1e3:
            raise SystemExit("more memory than stated")
    finally:
        if options.folder is None:
            shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
