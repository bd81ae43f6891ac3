"""Boxes around the Earth and their cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.errors import InputError
from phloem.io.global_products.boxes import BoxGrid, NumberedPatches

PAPER = BoxGrid(0.25, 4.0, 5.0)


def test_the_earth_has_3240_boxes_of_320_cells():
    assert (PAPER.cells, len(PAPER.inside(-90, 90, -180, 180))) == (320, 3240)
    assert PAPER.name(0) == "S90W180"
    assert PAPER.corner(3239) == (86.0, 175.0)
    assert BoxGrid(0.5, 4.0, 5.0).cells == 80


@given(st.integers(0, 3239), st.sampled_from([0.25, 0.5, 1.0]))
def test_cells_of_a_box_lie_in_it_and_are_in_order(number, step):
    grid = BoxGrid(step, 4.0, 5.0)
    rows, columns = grid.cells_of(number)
    south, west = grid.corner(number)
    north, east = grid.latitude(rows), grid.longitude(columns)
    assert ((north > south) & (north < south + 4)).all()
    assert ((east > west) & (east < west + 5)).all()
    places = list(zip(north, east, strict=True))
    assert places == sorted(places)
    assert len(set(places)) == grid.cells


def test_a_region_across_180_degrees_has_boxes_on_both_sides():
    numbers = PAPER.inside(50, 58, 170, -170)
    wests = {PAPER.corner(int(number))[1] for number in numbers}
    assert wests == {170.0, 175.0, -180.0, -175.0}
    with pytest.raises(InputError, match="no centre of a box"):
        PAPER.inside(50, 51, 0, 1)


def test_areas_are_those_of_the_sphere():
    rows = np.arange(720)
    assert PAPER.areas(rows).sum() == pytest.approx(2.0)


def test_a_patch_has_its_boxs_name(tmp_path):
    number = int(PAPER.inside(43, 46, 0, 5)[0])
    assert NumberedPatches(tmp_path, PAPER).chunk(number) == tmp_path / "patches/N42E000.h5"
