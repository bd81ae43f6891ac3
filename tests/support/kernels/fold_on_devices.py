"""Runs loss and gradient of 256 lanes over so many of the devices, for each number; prints digests of the bits."""

import hashlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from phloem.kernels.calibrations.dalec_daily.site_objective import SiteObjective
from phloem.kernels.models.dalec_daily.daily_step import dalec
from phloem.kernels.models.dalec_daily.mode_switches import STRICT
from phloem.kernels.objective.site import site_data
from tests.support.kernels.builders import made_site

numbers = [int(word) for word in sys.argv[1].split(",")]
devices = jax.devices()
assert len(devices) == max(numbers)
data = site_data([made_site(128, 5 + i, STRICT) for i in range(3)], np.float32)
objective = SiteObjective(dalec("strict"), backend="cpu")
raw = jnp.asarray(np.random.default_rng(0).standard_normal((38, 256)), jnp.float32)
lanes = jnp.asarray(np.arange(256) % 3, jnp.int32)


def run(raw, lanes, data):
    # The fold alone: the terms around it are compiled by XLA, whose bits may change with the width.
    def loss(raw):
        return objective.terms(raw, jnp.full(raw.shape[1], 30.0, jnp.float32), data, lanes)[1].gpp_error

    return loss(raw)


for number in numbers:
    mesh = Mesh(np.array(devices[:number]), ("lanes",))
    sharded = jax.shard_map(run, mesh=mesh, in_specs=(P(None, "lanes"), P("lanes"), P()), out_specs=P("lanes"))
    found = np.asarray(jax.jit(sharded)(raw, lanes, data))
    gradient = jax.jit(jax.grad(lambda raw, sharded=sharded: sharded(raw, lanes, data).sum()))(raw)
    print(hashlib.sha256(found.tobytes() + np.asarray(gradient).tobytes()).hexdigest())
