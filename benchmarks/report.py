"""Times the report of very many cells: size, time and memory of writing it, first map and hover in headless Chromium.

    python -m benchmarks.report --cells 60000

The product is made up, in the layout of merged.nc on a grid of half a degree; what is written is the page, its figures
and its data, as by `phloem report`.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import netCDF4
import numpy as np

from phloem.analysis.report.page import Contents, write_report
from phloem.analysis.report.sections import CampaignFacts
from phloem.analysis.report_data.cell_sets import CellSet, read_cells
from phloem.arithmetic import ceil_div
from phloem.io.merge.read_slices import MergedSlices
from phloem.kernels.calibrations.dalec_daily.tables import TOWERS
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS
from phloem.names import STREAMS

MEMBERS = 5
HOVERS = 200


def write_product(path: Path, count: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Write a product of so many cells on every other place of a grid; return names, latitudes, longitudes."""
    rng = np.random.default_rng(0)
    columns = 720
    rows = ceil_div(2 * count, columns)
    latitude, longitude = -59.75 + 0.5 * np.arange(rows), -179.75 + 0.5 * np.arange(columns)
    place = np.arange(count) * 2
    names = [f"cell{number:06d}" for number in range(count)]
    with netCDF4.Dataset(str(path), "w") as file:
        sizes = {"lat": rows, "lon": columns, "member": MEMBERS, "parameter": len(PARAMETERS), "stream": len(STREAMS)}
        for name, size in {**sizes, "characters": 10}.items():
            file.createDimension(name, size)
        for name, axis in (("lat", latitude), ("lon", longitude)):
            file.createVariable(name, "f8", (name,))[:] = axis
        for name, labels in (("parameter", [p.name for p in PARAMETERS]), ("stream", STREAMS)):
            file.createVariable(name, str, (name,))[:] = np.array(labels, dtype=object)
        ids = np.zeros((rows * columns, 10), "S1")
        ids[place] = np.array(names, "S10").view("S1").reshape(count, 10)
        cell = file.createVariable("cell", "S1", ("lat", "lon", "characters"))
        cell.setncattr("_Encoding", "utf-8")
        cell.set_auto_chartostring(False)
        cell[:] = ids.reshape(rows, columns, 10)

        def put(name: str, kind: str, *more: str) -> netCDF4.Variable:
            return file.createVariable(
                name, kind, ("lat", "lon", "member", *more), zlib=True, complevel=1, shuffle=True
            )

        shape = (rows, columns, MEMBERS)
        for name in ("status", "redraws"):
            put(name, "i1")[:] = rng.random(shape) > 0.99
        put("loss", "f8")[:] = rng.uniform(-4, -2, shape)
        for name in ("nnse", "nnse_validation"):
            put(name, "f8", "stream")[:] = rng.uniform(0.2, 1, (*shape, len(STREAMS)))
        values = put("parameters", "f8", "parameter")
        wave = 0.5 + 0.4 * np.sin(latitude / 9)[:, None] * np.cos(longitude / 14)
        for slot, parameter in enumerate(PARAMETERS):
            share = np.clip(wave[..., None] + rng.normal(0, 0.05, shape), 0.01, 0.99)
            values[..., slot] = parameter.lower * (parameter.upper / parameter.lower) ** share
    return names, latitude[place // columns], longitude[place % columns]


def contents(cells: CellSet) -> Contents:
    """Return the contents of a report without series, attribution and benchmarks."""
    facts = CampaignFacts("benchmark", "0", "0", 0, MEMBERS, "none", None, {}, "", experiment="baseline")
    return Contents("benchmark", [facts], [cells])


def browse(page: Path) -> dict[str, float]:
    """Open the page; return seconds to the first map, and milliseconds of what a reader does."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        binary = shutil.which("chromium") or shutil.which("google-chrome")
        browser = running.chromium.launch(executable_path=binary, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page(viewport={"width": 1400, "height": 900})
        opened.goto(page.as_uri())
        opened.wait_for_selector("body[data-ready]", state="attached", timeout=300_000)
        found = {"first map, s": opened.evaluate("firstMap") / 1e3}
        opened.evaluate("document.getElementById('map-stage').scrollIntoView()")
        hover = """async (many) => {
            const maps = document.getElementById("map-stage").maps;
            const times = { value: [], members: [] };
            for (let n = 0; n < many; n += 1) {
                const cell = Math.floor((n * maps.geography.count) / many);
                const [x, y] = maps.whereIs(cell);
                const begun = performance.now();
                const event = new PointerEvent("pointermove", { clientX: x, clientY: y, pointerId: 1 });
                maps.state.shown[0].over.dispatchEvent(event);
                times.value.push(performance.now() - begun);
                while (!maps.tooltip.innerText.includes("rCV")) await new Promise((resume) => setTimeout(resume));
                times.members.push(performance.now() - begun);
            }
            return times;
        }"""
        times = opened.evaluate(hover, HOVERS)
        for part, values in times.items():
            found[f"hover to {part}, median ms"] = statistics.median(values[1:])
            found[f"hover to {part}, slowest ms"] = max(values[1:])
        found["first hover of a quantity, ms"] = times["members"][0]
        begun = time.perf_counter()
        opened.select_option("#map-quantity", "q:lcma")
        opened.wait_for_function("() => document.getElementById('map-stage').dataset.drawn.startsWith('q:lcma')")
        found["another quantity, ms"] = 1e3 * (time.perf_counter() - begun)
        begun = time.perf_counter()
        opened.evaluate("document.getElementById('map-stage').maps.pin(99)")
        opened.wait_for_selector("#cell-panel[data-cell]")
        found["panel of a cell, first time, ms"] = 1e3 * (time.perf_counter() - begun)
        browser.close()
    return found


def main() -> None:
    """Write, open and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=60_000)
    parser.add_argument("--keep", type=Path, default=None, help="folder for the report; by default it is removed")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as aside:
        product = Path(aside) / "merged.nc"
        names, latitude, longitude = write_product(product, chosen.cells)
        out = chosen.keep or Path(aside) / "report"
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        begun, processor = time.perf_counter(), time.process_time()
        with MergedSlices(product, names) as merged:
            cells = read_cells(merged, TOWERS, "site", names, latitude.tolist(), longitude.tolist())
            page = write_report(contents(cells), out)
        found = {
            "product, MB": product.stat().st_size / 1e6,
            "page, MB": page.stat().st_size / 1e6,
            "figures and data, MB": sum(path.stat().st_size for path in out.glob("*/*")) / 1e6,
            "write, s": time.perf_counter() - begun,
            "write, s of processor": time.process_time() - processor,
            "peak memory before writing, MB": before,
            "peak memory, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            **browse(page),
        }
    for name, value in found.items():
        print(f"{name:36}{value:10.1f}")


if __name__ == "__main__":
    main()
