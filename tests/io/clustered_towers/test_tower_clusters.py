"""Clusters of towers: what is near is together, what is apart is further away than the distance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.io.clustered_towers.tower_clusters import clusters_within, great_circle_km

PLACES = st.lists(
    st.tuples(st.floats(-85, 85), st.floats(-180, 180)), min_size=1, max_size=25
)  # fmt: skip


def test_distance_of_known_places() -> None:
    """A degree of a meridian is 111.2 km, and the date line is no border."""
    found = great_circle_km(np.array([0.0, 1.0, 60.0, 60.0]), np.array([0.0, 0.0, 179.9, -179.9]))
    assert found[0, 1] == pytest.approx(111.195, abs=0.01)
    assert found[2, 3] == pytest.approx(0.2 * 111.195 * 0.5, rel=1e-3)
    assert (np.diag(found) == 0).all()


def test_towers_in_a_chain_are_one_cluster() -> None:
    """The ends of the chain are 240 km apart, each link 80 km."""
    north = np.array([40.0, 40.72, 50.0, 41.44, 42.16])
    assert clusters_within(north, np.zeros(5), 100.0).tolist() == [0, 0, 1, 0, 0]
    assert clusters_within(north, np.zeros(5), 70.0).tolist() == [0, 1, 2, 3, 4]


@given(PLACES, st.floats(1, 3000))
def test_places_of_different_clusters_are_further_apart_than_the_distance(
    places: list[tuple[float, float]], km: float
) -> None:
    north, east = np.array(places).T
    cluster = clusters_within(north, east, km)
    apart = great_circle_km(north, east)
    assert (apart[cluster[:, None] != cluster] > km).all()
    assert sorted(set(cluster)) == list(range(cluster.max() + 1))
    for number in range(cluster.max() + 1):
        inside = np.flatnonzero(cluster == number)
        for one in inside:
            others = inside[inside != one]
            assert not len(others) or apart[one, others].min() <= km * (1 + 1e-9)
