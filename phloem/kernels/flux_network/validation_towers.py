"""Towers on which a lane is validated: a share of those it may train on, drawn by its key."""

from __future__ import annotations

from functools import partial

import jax
import numpy as np
from jax import Array
from jaxtyping import Bool, UInt32


@partial(jax.jit, static_argnames="count")
def _drawn(key: Array, count: int) -> Array:
    # Behind those of the first weights, which have the key itself.
    lane = jax.random.fold_in(jax.random.wrap_key_data(key, impl="threefry2x32"), 1)
    return jax.random.bits(lane, (count,))


def validation_towers(
    used: Bool[np.ndarray, "lanes rows"], tower: np.ndarray, keys: UInt32[np.ndarray, "lanes 2"], share: float
) -> Bool[np.ndarray, "lanes towers"]:
    """Return the towers that each lane holds out: one at least where it has two; none where the share is 0.

    Args:
        used: rows of positive weight.
        tower: number of each row's tower, (rows,).
        keys: of each lane.
        share: of the towers that have a row, 0 to 1; rounded.
    """
    count = int(tower.max()) + 1
    held = np.zeros((len(used), count), bool)
    for lane, key in enumerate(keys):
        present = np.unique(tower[used[lane]])
        wanted = min(max(1, round(share * len(present))), len(present) - 1) if share > 0 and len(present) else 0
        order = np.argsort(np.asarray(_drawn(key, count))[present], kind="stable")
        held[lane, present[order[:wanted]]] = True
    return held
