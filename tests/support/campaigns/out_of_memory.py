"""Calibrates a tile while the process may not grow beyond so many bytes; prints errors met and whether bits changed."""

import json
import resource
import sys

from phloem.jobs.calibration.tile_calibration import TileCalibration
from phloem.sharding.lanes.devices import out_of_memory
from tests.support.campaigns.calibrations import configuration, differing, finish, made_cell

DAYS = 80_000
"""Tables of 13 such cells are too large for memory that the process has freed before and kept: 46 and 37 MB."""

room = int(sys.argv[1])
cells, settings = [made_cell(number, DAYS) for number in range(13)], configuration("cpu", iterations=2)
undisturbed = finish(TileCalibration(settings, cells), 1)
finish(TileCalibration(settings, cells, in_flight=32), 1)  # compiled now: XLA would end the process for want of memory

calibration = TileCalibration(settings, cells)
with open("/proc/self/statm") as file:
    size = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + room, resource.RLIM_INFINITY))
errors = []
while calibration.running:
    try:
        calibration.advance(1)
    except Exception as error:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        if not out_of_memory(error) or not calibration.halve():
            raise
        errors.append(type(error).__name__)
found = {"errors": errors, "in_flight": calibration.in_flight}
found["differing"] = sorted(differing(calibration.arrays(), undisturbed))
print(json.dumps(found))
