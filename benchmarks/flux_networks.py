"""Times the training of networks of fluxes: folds and members as lanes against one network at a time.

    python -m benchmarks.flux_networks --json

    {"lanes_ms": .., "loop_ms": .., "scan_ms": .., "ratio": .., "ratio_of_scan": .., "hours_of_loop": .., ..}

Rows are made up, as many as the public towers have months; float32; every case is warm, on the cores of this process.
All numbers are milliseconds an epoch of one network. `lanes` is `FluxNetworkTraining` with a device a core, of whose
lanes (132 towers left out, 4 members) the first rounds are timed: rounds are alike. `loop` is what is written by hand
for one network: a jitted step of the same loss and Adam, rows taken inside it, called for one minibatch after the
other. `scan` is one network again, by the program of the lanes at a width of one: an epoch is one call. Each
case takes turns with the others and is told by its median; `*_core_ms` is processor time, and `core_ratio` that of the
two: on a machine that others use too it is the one to trust, but it does not count cores that the loop leaves idle.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

ROWS, TOWERS, PREDICTORS, MEMBERS = 10_000, 132, 20, 4
EPOCHS = 40
"""Of a network, for the hours that the whole takes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--turns", type=int, default=5, help="turns of each case (default: 5)")
    parser.add_argument("--batch-rows", type=int, default=0, help="rows of a minibatch (default: that of the options)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    if "jax" not in sys.modules:
        from phloem.sharding.lanes.devices import device_environment

        os.environ.update(device_environment(len(os.sched_getaffinity(0))))
    results = measure(options.turns, options.batch_rows)
    if options.json:
        print(json.dumps({key: round(value, 3) for key, value in results.items()}))
        return
    for name, value in results.items():
        print(f"{name:16} {value:10.2f}")


def measure(turns: int, batch_rows: int = 0) -> dict[str, float]:
    """Return medians in milliseconds an epoch of one network, and their ratios."""
    import jax
    import numpy as np

    from phloem.kernels.flux_network.flux_network_options import FluxNetworkOptions
    from phloem.sharding.training.flux_network_training import FluxNetworkTraining

    options = FluxNetworkOptions(batch_rows=batch_rows or FluxNetworkOptions().batch_rows)
    devices = jax.local_devices()
    rounds = 2 * options.lanes_per_block * len(devices)
    table = made_towers(np.random.default_rng(0))
    weight, keys = folds(table["tower"], rounds)
    lanes = FluxNetworkTraining(**table, weight=weight, keys=keys, options=options, devices=devices)
    single = FluxNetworkTraining(**table, weight=weight[:1], keys=keys[:1], options=options)
    narrow = replace(options, lanes_per_block=1)
    scan = FluxNetworkTraining(**table, weight=weight[:1], keys=keys[:1], options=narrow)
    cases: dict[str, tuple[Callable[[], Any], int]] = {
        "lanes": (partial(lanes.advance, 1), rounds),
        "loop": (plain_epoch(single), 1),
        "scan": (partial(scan.advance, 1), 1),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for turn in range(turns + 1):
        for name, (epoch, networks) in cases.items():
            begun = time.perf_counter(), time.process_time()
            epoch()
            took = time.perf_counter() - begun[0], time.process_time() - begun[1]
            times[name] += [(1e3 * took[0] / networks, 1e3 * took[1] / networks)] if turn else []
    found: dict[str, float] = {"devices": len(devices), "batch_rows": options.batch_rows}
    for name, pairs in times.items():
        found[f"{name}_ms"] = statistics.median(wall for wall, _ in pairs)
        found[f"{name}_core_ms"] = statistics.median(core for _, core in pairs)
    found["core_ratio"] = found["loop_core_ms"] / found["lanes_core_ms"]
    found["ratio"] = found["loop_ms"] / found["lanes_ms"]
    found["ratio_of_scan"] = found["scan_ms"] / found["lanes_ms"]
    whole = TOWERS * MEMBERS * EPOCHS / 3.6e6
    return found | {"hours_of_loop": found["loop_ms"] * whole, "hours_of_lanes": found["lanes_ms"] * whole}


def plain_epoch(training: Any) -> Callable[[], None]:
    """Return an epoch of the training's first lane as one would write it for one network alone."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax

    from phloem.kernels.flux_network.constrained_loss import FluxBatch
    from phloem.kernels.flux_network.flux_network import first_flux_weights
    from phloem.kernels.flux_network.lane_statistics import LaneStatistics

    loss, table = training._loss, jax.device_put(training._table)
    own = LaneStatistics(*(jnp.asarray(part[0]) for part in training.statistics))
    held = training._held[0][np.asarray(training._table.tower)]
    sets = [jax.device_put(np.where(which, training._weight[0], 0)) for which in (~held, held)]
    adam = optax.adam(training.options.learning_rate)

    @jax.jit
    def step(weights: Any, state: Any, table: FluxBatch, weight: Any, rows: Any) -> Any:
        batch = FluxBatch(*(part[rows] for part in table))
        value, slope = jax.value_and_grad(loss.value)(weights, own, batch, weight[rows])
        change, state = adam.update(slope, state)
        return optax.apply_updates(weights, change), state, value

    validate = jax.jit(loss.value)
    weights = first_flux_weights(jax.random.key(0), len(training.names))
    stands = {"weights": weights, "state": adam.init(weights), "epoch": 0}

    def epoch() -> None:
        weights, state = stands["weights"], stands["state"]
        for rows in training.order(stands["epoch"]):
            weights, state, _ = step(weights, state, table.batch, sets[0], rows)
        float(validate(weights, own, table.batch, sets[1]))
        stands.update(weights=weights, state=state, epoch=stands["epoch"] + 1)

    return epoch


def made_towers(rng: Any) -> dict[str, Any]:
    """Return a table of tower months: fluxes of a few predictors, a tenth of the numbers missing."""
    import numpy as np

    x = rng.normal(0, 1, (ROWS, PREDICTORS)).astype(np.float32)
    x[:, 0], x[:, 1] = 10 + 10 * x[:, 0], np.clip(150 + 80 * x[:, 1], 0, None)
    noise = 0.3 * rng.normal(0, 1, (ROWS, 2))
    gpp = np.maximum(0, 0.03 * x[:, 1] + 0.1 * x[:, 0] + x[:, 2] + noise[:, 0])
    reco = np.maximum(0.2, 0.15 * x[:, 0] + x[:, 3] ** 2 + noise[:, 1])
    observed = np.stack([gpp, reco, reco - gpp, 0.4 * x[:, 1] + 10 * x[:, 4]], 1)
    observed[rng.random(observed.shape) < 0.1] = np.nan
    x[:, 5:][rng.random((ROWS, PREDICTORS - 5)) < 0.1] = np.nan
    return {
        "x": x,
        "names": ["TA", "SWIN", *(f"x{number}" for number in range(2, PREDICTORS))],
        "observed": observed,
        "baselines": np.zeros_like(observed),
        "tower": np.sort(rng.integers(0, TOWERS, ROWS)),
    }


def folds(tower: Any, lanes: int) -> tuple[Any, Any]:
    """Return weights and keys of the first lanes: a tower left out each, the members of a fold side by side."""
    import numpy as np

    from phloem.kernels.optimise.lanes import lane_keys

    fold, member = np.divmod(np.arange(lanes), MEMBERS)
    return (tower != (fold % TOWERS)[:, None]).astype(np.float32), lane_keys(0, list(fold), list(member))


if __name__ == "__main__":
    main()
