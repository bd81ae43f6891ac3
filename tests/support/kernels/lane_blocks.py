"""Small blocks of lanes under calibration, for the tests of lanes and of Adam."""

import jax
import jax.numpy as jnp
import numpy as np

from phloem.kernels.calibrations.dalec_daily.site_objective import SiteObjective
from phloem.kernels.models.dalec_daily.daily_step import dalec
from phloem.kernels.models.dalec_daily.mode_switches import STRICT
from phloem.kernels.objective.site import site_data
from phloem.kernels.optimise.adam import AnnealedAdam
from phloem.kernels.optimise.optimiser import advance, begin
from tests.support.kernels.builders import made_site

OBJECTIVE = SiteObjective(dalec("strict"))
OPTIONS = AnnealedAdam(iterations=7, learning_rate=0.02, sharpness_iterations=4, trace=4)
SEED = 12
BLOCK = 64
LENGTHS = (190, 128, 70)


def cells(lengths=LENGTHS):
    """Return cells of unequal length, numbered by their place in `lengths`."""
    return [made_site(days, 40 + days, STRICT, first_day=30) for days in lengths]


def table(chosen):
    """Return the float32 tables of some cells."""
    return site_data(chosen, np.float32)


def fresh(numbers, members, sites, options=OPTIONS, block=BLOCK, seed=SEED):
    """Return lanes at their first step; the number of a lane's cell is its number in the campaign."""
    return begin(
        options, OBJECTIVE.model, seed, numbers, members, [sites[n].starts for n in numbers], np.float32, block
    )


def rows_of(positions, block=BLOCK):
    """Return the row of the table for each lane, padding in row 0."""
    return jnp.asarray(np.pad(positions, (0, block - len(positions))), jnp.int32)


def run(lanes, data, rows, chunks=(OPTIONS.iterations,), options=OPTIONS, objective=OBJECTIVE):
    """Advance by chunks."""
    for steps in chunks:
        lanes = advance(objective, options, data, rows, lanes, jnp.int32(steps))
    return lanes


def bits(lanes, which=slice(None)):
    """Return some lanes' state as bytes, leaf by leaf, NaN included."""
    return [np.ascontiguousarray(np.asarray(leaf)[which]).tobytes() for leaf in jax.tree.leaves(lanes)]
