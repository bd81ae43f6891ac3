"""Draws from a density of few dimensions inside a box, by walkers that move along the lines between them.

The stretch move of Goodman & Weare (2010), doi:10.2140/camcos.2010.5.65, equations 7 to 9: it does not mind how long,
narrow or slanting the density is, so that nothing has to be tuned to a data set.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

WALKERS = 96
STEPS = 900
SKIPPED = 300
KEPT_EVERY = 10
STRETCH = 2.0


def draw_samples(
    log_density: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Sample a density that is zero outside a box.

    Args:
        log_density: (walkers, d) -> (walkers,), up to a constant; called inside the box only.
        start: (d,) a point inside, best where the density is highest.
        low: (d,) the box's lower corner.
        high: (d,) its upper corner.
        rng: source of all chance.

    Returns:
        (5760, d) draws: 96 walkers, every 10th of 600 steps after 300 that are dropped.
    """
    dimensions = len(start)
    places = start + 0.1 * (high - low) * rng.standard_normal((WALKERS, dimensions))
    # Folded back at the walls: walkers that all stood on one could not leave it.
    places = low + np.abs((places - low + (high - low)) % (2.0 * (high - low)) - (high - low))
    values = log_density(places)
    half = WALKERS // 2
    kept = []
    for step in range(STEPS):
        for moving, others in ((slice(half), slice(half, None)), (slice(half, None), slice(half))):
            z = ((STRETCH - 1.0) * rng.random(half) + 1.0) ** 2 / STRETCH
            partners = places[others][rng.integers(half, size=half)]
            proposed = partners + z[:, None] * (places[moving] - partners)
            inside = ((proposed > low) & (proposed < high)).all(axis=1)
            height = np.where(inside, log_density(np.clip(proposed, low, high)), -np.inf)
            taken = np.log(rng.random(half)) < (dimensions - 1) * np.log(z) + height - values[moving]
            places[moving] = np.where(taken[:, None], proposed, places[moving])
            values[moving] = np.where(taken, height, values[moving])
        if step >= SKIPPED and step % KEPT_EVERY == 0:
            kept.append(places.copy())
    return np.concatenate(kept)
