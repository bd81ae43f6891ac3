"""Measures the memory that a device needs for a round, as XLA compiled it; prints it beside the projection."""

from __future__ import annotations

import json
import sys

import numpy as np

from phloem.jobs.calibration.tile_calibration import TileCalibration
from phloem.kernels.time_loop.cpu.cpu_backend import scratch_bytes
from tests.support.campaigns.calibrations import configuration, made_cells


def measure(backend: str, devices: int) -> tuple[int, int]:
    """Return bytes needed and bytes projected, a device, for a tile that fills so many devices.

    Needed are the arguments, results and temporaries of the compiled program, and the scratch of the generated C.
    """
    settings = configuration(backend, iterations=2000)
    settings = settings.model_copy(update={"optimiser": settings.optimiser.model_copy(update={"trace": 1000})})
    calibration = TileCalibration(settings, made_cells(13 * devices), devices=devices)
    calibration.advance(1)
    assert calibration.layout.devices == devices
    assert calibration.device_round is not None
    stage, placed, data, lanes, program = calibration.device_round
    used = program.lower(data, placed.lane_cell, lanes, np.int32(1), np.int32(stage)).compile().memory_analysis()
    needed = used.argument_size_in_bytes + used.output_size_in_bytes + used.temp_size_in_bytes
    if backend == "cpu":
        needed += scratch_bytes("dalec-strict", calibration.dtype)
    return needed, calibration.projected_bytes


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
