import numpy as np
import pytest

from phloem.analysis.interpret.trait_maps_figure import trait_maps_figure
from phloem.errors import InputError


def test_maps_leave_out_cells_without_a_value() -> None:
    place = np.array([1.0, 2.0, 3.0])
    figure = trait_maps_figure(place, place + 10, {"ce": ("1", np.array([5.0, np.nan, 7.0]))})
    points = figure.axes[0].collections[-1]
    assert points.get_offsets().tolist() == [[11.0, 1.0], [13.0, 3.0]]
    assert points.get_array().tolist() == [5.0, 7.0]


@pytest.mark.parametrize("traits", [{}, {"ce": ("1", np.zeros(2))}])
def test_maps_of_nothing_or_of_other_cells_are_refused(traits: dict) -> None:
    with pytest.raises(InputError, match="as many of each"):
        trait_maps_figure(np.zeros(3), np.zeros(3), traits)
