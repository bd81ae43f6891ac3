"""Calibrations in a process of four virtual devices: takes a folder, leaves digests.json and half.npz in it."""

import json
import sys
from pathlib import Path

import jax
import numpy as np
from calibrations import ITERATIONS, MANY, MEMBERS, broken, configuration, digest, finish, made_cells

from phloem.jobs.calibration import TileCalibration

folder = Path(sys.argv[1])
assert len(jax.devices()) == 4
found = {}

for backend, cells, devices in (
    ("cpu", 1, 4),
    ("cpu", 7, 4),
    ("cpu", 64, 1),
    ("cpu", 64, 2),
    ("cpu", 64, 4),
    ("xla", 14, 2),
):
    settings = configuration(backend, iterations=2 if backend == "xla" else ITERATIONS)
    calibration = TileCalibration(settings, made_cells(cells), devices=devices)
    assert calibration.layout.devices == min(devices, -(-cells * MEMBERS // 64))
    found[f"{backend} {cells} cells, {devices} devices"] = digest(finish(calibration))

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
assert calibration.aloft.flight.mesh.size == 2
np.savez(folder / "half.npz", **calibration.saved())
resumed = TileCalibration(settings, cells, devices=4, in_flight=5)
with np.load(folder / "one_device.npz") as saved:
    resumed.restore(dict(saved))
found["resumed"] = digest(finish(resumed))

ill = [broken(cell) if number == 3 else cell for number, cell in enumerate(cells)]
ended = finish(TileCalibration(settings, ill, devices=2))
found["ill"] = digest({name: values for name, values in ended.items() if name in ("status", "redraws")})
found["beside the ill"] = digest({n: np.delete(v, 3, 0) for n, v in ended.items() if v.shape[:2] == (14, 5)})
(folder / "digests.json").write_text(json.dumps(found))
