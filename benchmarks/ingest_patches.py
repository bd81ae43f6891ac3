"""What `phloem ingest --what patches` takes: memory, time, disk. `python -m benchmarks.ingest_patches --side 24`.

Writes synthetic monthly products for a square of degrees (weather, burned area, SIF and emissions of 0.25, ET of 0.1,
leaf area of 0.05, and land cover), ingests them in a process of its own with a stated memory, and prints the peak of
its resident memory, seconds, and the size of the store.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import netCDF4
import numpy as np

from benchmarks.ingest import SOUTH, WEST, measure, noisy, write

FIRST = 2001


def write_monthly_products(root: Path, side: int, years: int) -> None:
    """All products of a square of so many degrees."""
    months = (np.datetime64(f"{FIRST}-01", "M") + np.arange(12 * years)).astype("datetime64[D]")
    days = (months - np.datetime64("1985-01-01")).astype(float) + 14
    fields = {
        "mn2t": ("K", 280.0, 4.0), "mx2t": ("K", 292.0, 4.0), "d2m": ("K", 278.0, 3.0), "ssrd": ("J m**-2", 12e6, 8e6),
        "tp": ("m", 0.003, 0.0029),
    }  # fmt: skip
    for number, (name, (unit, mean, spread)) in enumerate(fields.items()):
        write(root / f"era5/{name}.nc", name, unit, 0.25, 2 * side, days, noisy(number, mean, spread))
    write(root / "burned.nc", "burned_area", "1", 0.25, 2 * side, days, noisy(8, 0.01, 0.009))
    write(root / "sif.nc", "SIF", "mW m-2 sr-1 nm-1", 0.25, 2 * side, days, noisy(9, 0.4, 0.3))
    write(root / "fire.nc", "C", "g m-2 d-1", 0.25, 2 * side, days, noisy(10, 0.02, 0.01))
    for year in range(years):
        some = slice(12 * year, 12 * year + 12)
        write(root / f"et/E_{year}.nc", "E", "mm d-1", 0.1, 2 * side, days[some], noisy(20 + year, 2.0, 1.5))
        write(root / f"lai/{year}.nc", "LAI", "1", 0.05, 2 * side, days[some], noisy(60 + year, 30.0, 20.0), kind="u1")
    step = 0.05
    lat, lon = SOUTH + step * (np.arange(side * 20) + 0.5), WEST + step * (np.arange(side * 20) + 0.5)
    shares = np.zeros((len(lat), len(lon), 17), "u1")
    shares[..., 0], shares[..., 10], shares[..., 4] = 5, 60, 35
    with netCDF4.Dataset(str(root / "mcd12c1.nc"), "w") as file:
        for name, values, unit in (("lat", lat, "degrees_north"), ("lon", lon, "degrees_east")):
            file.createDimension(name, len(values))
            variable = file.createVariable(name, "f8", (name,))
            variable.units, variable[:] = unit, values
        file.createDimension("Num_IGBP_Classes", 17)
        name = "Land_Cover_Type_1_Percent"
        file.createVariable(name, "u1", ("lat", "lon", "Num_IGBP_Classes"), zlib=True)[:] = shares
    rows = [f"{FIRST + n // 12},{n % 12 + 1},0,{370 + 0.2 * n:.2f}" for n in range(12 * years)]
    (root / "co2.csv").write_text("year,month,decimal,average\n" + "\n".join(rows) + "\n")


def write_patches_file(path: Path, side: int, years: int, memory: float, step: float = 0.25) -> None:
    """The ingest file of the products."""
    path.write_text(
        f"""[store]
years = [{FIRST}, {FIRST + years - 1}]
step = {step}
memory_gb = {memory}
region = {{ south = {SOUTH}, north = {SOUTH + side}, west = {WEST}, east = {WEST + side} }}
[products]
forcing = {{ path = "era5/*.nc" }}
co2 = {{ path = "co2.csv" }}
burned_area = {{ path = "burned.nc" }}
pft = {{ path = "mcd12c1.nc" }}
sif = {{ path = "sif.nc" }}
fire = {{ path = "fire.nc" }}
et = {{ path = "et/*.nc" }}
lai = {{ path = "lai/*.nc" }}
"""
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=24, help="degrees")
    parser.add_argument("--years", type=int, default=23)
    parser.add_argument("--memory", type=float, default=0.6, help="GB")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_monthly_products(root, arguments.side, arguments.years)
        write_patches_file(root / "ingest.toml", arguments.side, arguments.years, arguments.memory)
        for key, value in measure(root / "ingest.toml", root / "store", "patches").items():
            print(f"{key}: {value:.4g}")


if __name__ == "__main__":
    main()
