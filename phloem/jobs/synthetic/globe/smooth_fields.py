"""Random fields that are smooth over the Earth, and series of them: waves of random direction and length.

A value depends on the place and the seed alone, not on which other places are asked for.
"""

from __future__ import annotations

import zlib

import numpy as np

EARTH_RADIUS_KM = 6371.0
WAVES = 96
"""Waves of a field; so many that its values are near to normally distributed."""


def generator(seed: int, name: str) -> np.random.Generator:
    """Return the source of chance of something that has a name."""
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(name.encode())]))


def _phases(rng: np.random.Generator, scale_km: float, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Return the phase of each wave at each place, (places, waves)."""
    wave = rng.standard_normal((3, WAVES)) * (EARTH_RADIUS_KM / scale_km)
    shift = rng.uniform(0, 2 * np.pi, WAVES)
    north, east = np.deg2rad(latitude), np.deg2rad(longitude)
    place = np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], -1)
    return np.asarray(place @ wave + shift)


def smooth_field(seed: int, name: str, scale_km: float, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Return a field of mean 0 and variance 1, (places,).

    Its correlation falls with the distance d as exp(-(d / scale)^2 / 2).

    Args:
        seed: of the Earth.
        name: of the field.
        scale_km: of its correlation.
        latitude: degrees, (places,).
        longitude: degrees, (places,).
    """
    phase = _phases(generator(seed, name), scale_km, latitude, longitude)
    return np.asarray(np.sqrt(2 / WAVES) * np.cos(phase).sum(1))


def smooth_series(
    seed: int, name: str, scale_km: float, persistence: float, months: int, latitude: np.ndarray, longitude: np.ndarray
) -> np.ndarray:
    """Return a field by month, (months, places), of mean 0 and variance 1; longer series begin with shorter ones.

    Args:
        seed: of the Earth.
        name: of the series.
        scale_km: of the correlation in space.
        persistence: correlation of a month with the next.
        months: how many.
        latitude: degrees, (places,).
        longitude: degrees, (places,).
    """
    rng = generator(seed, name)
    phase = _phases(rng, scale_km, latitude, longitude)
    amplitude = np.empty((months, 2 * WAVES))
    amplitude[0] = rng.standard_normal(2 * WAVES)
    for month in range(1, months):
        shock = rng.standard_normal(2 * WAVES)
        amplitude[month] = persistence * amplitude[month - 1] + np.sqrt(1 - persistence**2) * shock
    basis = np.concatenate([np.cos(phase), np.sin(phase)], 1) / np.sqrt(WAVES)
    return np.asarray(amplitude @ basis.T)
