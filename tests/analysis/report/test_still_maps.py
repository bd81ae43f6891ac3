"""Maps of cells of which some have no longitude."""

from dataclasses import replace

import numpy as np
import pytest

from phloem.analysis.report.figures.still_maps import Still, extent, still_maps
from tests.support.analysis.report_samples import grid_cells


@pytest.mark.parametrize("known", [0, 2])
def test_cells_without_a_longitude_are_left_out_of_a_map(known: int) -> None:
    cells = replace(grid_cells(2, 2), lattice=None, latitude=np.array([50.0, 51, 52, 80]))
    cells = replace(cells, longitude=np.where(np.arange(4) < known, [10.0, 12, 14, 16], np.nan))
    west, east, south, north = extent(cells)
    if known:
        assert west < 10 < 12 < east < 30
        assert south < 50 < 51 < north < 60
    else:
        assert (west, east, south, north) == (-180, 180, -90, 90)
    figure = still_maps(cells, [Still("one", np.arange(4.0))])
    assert figure.axes[0].get_xlim() == (west, east)
