"""Calibrations in a process of four virtual devices: `tiles` or `layouts` into a folder, as digests by name."""

import json
import sys
from pathlib import Path

import jax
import numpy as np

from phloem.jobs.calibration.tile_calibration import TileCalibration
from tests.support.campaigns.calibrations import (
    ITERATIONS,
    MANY,
    MEMBERS,
    broken,
    configuration,
    digest,
    finish,
    made_cells,
)

CASES = (("cpu", 1, 4), ("cpu", 7, 4), ("cpu", 64, 2), ("cpu", 64, 4), ("xla", 14, 2))
"""Backend, cells, devices."""


def tiles() -> dict[str, object]:
    """Whole tiles, laid over as many devices as they fill."""
    found = {}
    for backend, cells, devices in CASES:
        settings = configuration(backend, iterations=2 if backend == "xla" else ITERATIONS)
        calibration = TileCalibration(settings, made_cells(cells), devices=devices)
        assert calibration.layout.devices == min(devices, -(-cells * MEMBERS // 64))
        found[f"{backend} {cells} cells, {devices} devices"] = digest(finish(calibration))
    return found


def layouts(folder: Path) -> dict[str, object]:
    """Fewer lanes in flight, from the start or halved; a checkpoint taken up, another left; a cell that never works."""
    found: dict[str, object] = {}
    cells, settings = made_cells(14), configuration("cpu")
    for in_flight in (100, 5):
        calibration = TileCalibration(settings, cells, devices=4, in_flight=in_flight)
        found[f"{in_flight} in flight"] = digest(finish(calibration))

    calibration = TileCalibration(configuration("cpu", members=MANY), cells[1:3], devices=4)
    assert calibration.layout.devices == 2
    flown = []
    calibration.advance(1)
    while calibration.halve():
        flown.append([calibration.layout.devices, calibration.in_flight])
        calibration.advance(1)
    found["halved"] = digest(finish(calibration))
    found["flown"] = flown

    calibration = TileCalibration(settings, cells, devices=2)
    calibration.advance(3)
    assert calibration.layout.devices == 2
    np.savez(folder / "half.npz", **calibration.saved())
    resumed = TileCalibration(settings, cells, devices=4, in_flight=5)
    with np.load(folder / "one_device.npz") as saved:
        resumed.restore(dict(saved))
    found["resumed"] = digest(finish(resumed))

    ill = [broken(cell) if number == 3 else cell for number, cell in enumerate(cells)]
    ended = finish(TileCalibration(settings, ill, devices=2))
    found["ill"] = digest({name: values for name, values in ended.items() if name in ("status", "redraws")})
    found["beside the ill"] = digest({n: np.delete(v, 3, 0) for n, v in ended.items() if v.shape[:2] == (14, MEMBERS)})
    return found


if __name__ == "__main__":
    assert len(jax.devices()) == 4
    what, folder = sys.argv[1], Path(sys.argv[2])
    digests = tiles() if what == "tiles" else layouts(folder)
    (folder / f"{what}.json").write_text(json.dumps(digests))
