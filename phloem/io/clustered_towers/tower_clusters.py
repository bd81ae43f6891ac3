"""Clusters of towers: all that are closer together than a distance, directly or by way of others."""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from phloem.io.grids.placed_cells import EARTH_RADIUS


def great_circle_km(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Return the distances between places along the Earth's surface, km, (places, places), by the haversine formula.

    Args:
        latitude: degrees north, (places,).
        longitude: degrees east, (places,).
    """
    north, east = np.radians(np.asarray(latitude, float)), np.radians(np.asarray(longitude, float))
    half = np.sin(0.5 * (north[:, None] - north)) ** 2
    half = half + np.cos(north[:, None]) * np.cos(north) * np.sin(0.5 * (east[:, None] - east)) ** 2
    return 2e-3 * EARTH_RADIUS * np.arcsin(np.sqrt(np.minimum(half, 1.0)))


def clusters_within(latitude: np.ndarray, longitude: np.ndarray, km: float) -> np.ndarray:
    """Return the cluster of each place, (places,), numbered from 0 by first appearance.

    Single linkage: two places of different clusters are further apart than the distance, so that whoever leaves out a
    cluster leaves out everything within that distance of its places.

    Args:
        latitude: degrees north, (places,).
        longitude: degrees east, (places,).
        km: distance up to which two places belong together.
    """
    if len(latitude) == 1:
        return np.zeros(1, int)
    apart = great_circle_km(latitude, longitude)
    np.fill_diagonal(apart, 0.0)
    found = fcluster(linkage(squareform(apart, checks=False), "single"), km, "distance")
    _, first, number = np.unique(found, return_index=True, return_inverse=True)
    clusters: np.ndarray = np.argsort(np.argsort(first))[number]
    return clusters
