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

    weights = jax.tree.map(lambda leaf: leaf[0], first.weights)
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


def made_patch(rng: Any) -> Any:
    """Return a patch of `ROWS` cells and `MONTHS` months with every predictor, float32."""
    import jax.numpy as jnp
    import numpy as np

    from phloem.kernels.models.dalec_monthly.forcing_terms import weather
    from phloem.kernels.models.dalec_monthly.mode_switches import MODES
    from phloem.kernels.models.dalec_monthly.records import MonthlyWeather
    from phloem.kernels.network.patch_labels import STREAMS, LabelStream, PatchLabels
    from phloem.kernels.network.patch_model import patch_tables
    from phloem.kernels.network.training_loss import Patch
    from phloem.kernels.network.training_step import ALL_COLUMNS
    from phloem.names import PERIOD

    starts = (np.datetime64("2001-01") + np.arange(MONTHS + 1)).astype("datetime64[D]")
    lengths = np.diff(starts).astype(float)
    middle = (starts[:-1] - np.datetime64("2001-01-01")).astype(float) + lengths / 2
    doy = middle % PERIOD
    summer = -np.cos(2 * np.pi * (doy - 15) / PERIOD)

    def cell(latitude: float) -> MonthlyWeather:
        warm = 12 + 10 * summer + rng.normal(0, 1.5, MONTHS)
        forcing = {
            "tasmin": warm - 5, "tasmax": warm + 5, "rsds": 13 + 8 * summer, "co2": 372 + middle * 2 / PERIOD,
            "vpd": 6 + 4 * summer, "pr": rng.gamma(2.0, 1.2, MONTHS), "burned_area": rng.gamma(0.1, 1e-3, MONTHS),
        }  # fmt: skip
        return weather(middle, doy, latitude, forcing, (12.0, 2.4), lengths, MODES["strict"])

    cells = [cell(float(latitude)) for latitude in np.repeat(np.arange(40.125, 44, 0.25), 20)]
    means = {
        "sif": 0.3, "nbe": 0.1, "lai": 1.5, "water_storage": 0.0, "biomass": 4000.0, "fire": 0.01, "vod": 0.5,
        "soil_carbon": 9000.0, "tower_gpp": 3.0, "tower_reco": 2.5, "tower_et": 1.5, "et": 1.5,
    }  # fmt: skip

    def stream(name: str) -> LabelStream:
        label = means[name] + (0.3 * means[name] + 0.01) * rng.standard_normal((MONTHS, ROWS))
        weight = (rng.random((MONTHS, ROWS)) < 0.8).astype(float)
        if name == "soil_carbon":
            label, weight = label[:1] + np.zeros_like(label), np.ones_like(weight)
        if name.startswith("tower"):
            weight[:, 2:] = 0
        if name == "vod":
            weight[:] = 0
        return LabelStream(label.astype(np.float32), weight.astype(np.float32))

    labels = PatchLabels(
        **{name: stream(name) for name in STREAMS},
        valid=jnp.ones(ROWS, jnp.float32),
        december=(np.arange(MONTHS) % 12 == 11).astype(np.float32),
    )
    stacked = MonthlyWeather(*(np.stack([getattr(one, field) for one in cells], 1) for field in MonthlyWeather._fields))
    predictors = jnp.asarray(rng.standard_normal((ROWS, len(ALL_COLUMNS))), jnp.float32)
    return Patch(predictors, patch_tables(stacked, labels, np.float32), labels)


if __name__ == "__main__":
    main()
