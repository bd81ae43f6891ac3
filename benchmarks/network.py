"""Times a training step of networks on one patch of 320 cells and 276 months; prints a table or JSON.

    python -m benchmarks.network --json

    {"step_ms": .., "step_ms_of_15": .., "forward_ms": ..}

All cases are measured in one process on one core, float32, warm, by turns of several calls. A step is the loss, its
slope by the weights and Adam's move; `step_ms_of_15` is that of the fifteen set-ups side by side, for each. The
reference is the same loss by a plain loop of XLA over the months, all outputs kept for the way back. The patch is made
up: seasons by latitude, labels near the ranges of the products, a fifth of them missing, towers in two rows.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

ROWS, MONTHS = 320, 276


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--repeats", type=int, default=41, help="calls of each case, at least (default: 41)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    results = measure(options.repeats)
    if options.json:
        print(json.dumps({key: round(value, 3) for key, value in results.items()}))
        return
    for name, value in results.items():
        print(f"{name:16} {value:8.2f} ms {results['reference_ms'] / value:7.1f}x")


def measure(repeats: int) -> dict[str, float]:
    """Return medians in milliseconds."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from phloem.kernels.network.parameter_network import Weights
    from phloem.kernels.network.set_ups import GROUPS, all_set_ups
    from phloem.kernels.network.training_loss import TrainingLoss, add_up
    from phloem.kernels.network.training_step import Trainer

    patch = jax.device_put(made_patch(np.random.default_rng(0)))
    loss = TrainingLoss(backend="cpu")
    one, fifteen = (Trainer(loss, tuple(chosen), 5e-4, "constant") for chosen in ([tuple(GROUPS)], all_set_ups()))
    first, many = (of.first(list(jax.random.split(jax.random.key(0), len(of.set_ups)))) for of in (one, fifteen))
    plain = TrainingLoss(backend="xla")

    def by_months(weights: Weights) -> Any:
        return add_up(plain.terms_of_months(weights, patch))

    weights = first[0].weights
    forward, reference = jax.jit(lambda of: loss.value(of, patch)), jax.jit(jax.value_and_grad(by_months))
    all_walk = {count: jnp.ones(count, bool) for count in (1, 15)}
    cases: dict[str, Callable[[], Any]] = {
        "step_ms": lambda: one.step(first, patch, all_walk[1]),
        "step_ms_of_15": lambda: fifteen.step(many, patch, all_walk[15]),
        "forward_ms": lambda: forward(weights),
        "reference_ms": lambda: reference(weights),
    }
    found = {name: 1e3 * seconds for name, seconds in medians_by_turns(cases, repeats).items()}
    return found | {"step_ms_of_15": found["step_ms_of_15"] / 15}


def medians_by_turns(cases: dict[str, Callable[[], Any]], repeats: int, turn: int = 8) -> dict[str, float]:
    """Return the median seconds of each case; of a turn's calls the first, which finds other data near, is left out."""
    import jax

    times: dict[str, list[float]] = {name: [] for name in cases}
    while min(map(len, times.values())) < repeats:
        for name, call in cases.items():
            for number in range(turn):
                begun = time.perf_counter()
                jax.block_until_ready(call())
                times[name] += [time.perf_counter() - begun] if number else []
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def made_patch(rng: Any, rows: int = ROWS, count: int = MONTHS) -> Any:
    """Return a patch of so many cells, a multiple of 16, and months, of 12, with every predictor, float32."""
    import numpy as np

    from phloem.kernels.network.patch_cells import MonthAxis, PatchCells, patch_of_cells
    from phloem.kernels.network.training_step import ALL_COLUMNS
    from phloem.names import PERIOD

    months = MonthAxis(np.datetime64("2001-01"), count)
    latitude = np.repeat(np.arange(40.125, 44, 0.25), rows // 16)
    summer = -np.cos(2 * np.pi * (months.doy - 15) / PERIOD)[:, None]
    shape = (count, rows)
    warm = 12 + 10 * summer + rng.normal(0, 1.5, shape)
    forcing = {
        "tasmin": warm - 5, "tasmax": warm + 5, "rsds": 13 + 8 * summer + np.zeros(shape),
        "co2": 372 + 2 * months.time / PERIOD, "vpd": 6 + 4 * summer + np.zeros(shape),
        "pr": rng.gamma(2.0, 1.2, shape), "burned_area": rng.gamma(0.1, 1e-3, shape),
    }  # fmt: skip
    means = {
        "sif": 0.3, "nbe": 0.1, "lai": 1.5, "water_storage": 0.0, "biomass": 4000.0, "fire": 0.01,
        "soil_carbon": 9000.0, "tower_gpp": 3.0, "tower_reco": 2.5, "tower_et": 1.5, "et": 1.5,
    }  # fmt: skip

    def label(name: str) -> np.ndarray:
        made = means[name] + (0.3 * abs(means[name]) + 0.01) * rng.standard_normal(shape)
        if name == "soil_carbon":
            return made[:1] + np.zeros(shape)
        made[rng.random(shape) > 0.8] = np.nan
        if name.startswith("tower"):
            made[:, 2:] = np.nan
        return made

    cells = PatchCells(
        latitude=latitude,
        predictors={name: rng.standard_normal(rows) for name in ALL_COLUMNS[1:]},
        forcing=forcing,
        reference=(np.full(rows, 12.0), np.full(rows, 2.4)),
        labels={name: label(name) for name in means},
        weights={},
    )
    return patch_of_cells(cells, months, dict.fromkeys(ALL_COLUMNS, (0.0, 1.0)), rows)


if __name__ == "__main__":
    main()
