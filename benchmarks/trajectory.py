"""Times daily, monthly and partial output of the cpu backend against the plain loop of XLA; prints a table.

    python -m benchmarks.trajectory --lanes 512 --years 9 --threads 1

All cases are measured in one process that is bound to so many cores; the forcing is one cell's, made by the weather
generator. The reference is the loop that wrote all daily output before there was another: `lax.scan` over the days, all
outputs of a day written. Times are medians of several warm calls, the arrays of each freed before the next.
"""

from __future__ import annotations

import argparse
import os


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--lanes", type=int, default=512)
    parser.add_argument("--years", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1, help="cores")
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    measure(options.lanes, options.years, options.repeats)


def measure(lanes: int, years: int, repeats: int) -> None:
    import jax
    import jax.numpy as jnp
    import numpy as np
    from jax import Array, lax

    from benchmarks.fold import median_seconds
    from phloem.jobs.single_cell import daily_outputs
    from phloem.jobs.synthetic.weather import boreal_weather
    from phloem.kernels.calibrations.dalec_daily.tables import TOWERS
    from phloem.kernels.models.dalec_daily.daily_step import dalec
    from phloem.kernels.models.dalec_daily.forcing_terms import weather
    from phloem.kernels.models.dalec_daily.mode_switches import STRICT
    from phloem.kernels.models.dalec_daily.parameters import UNKNOWNS
    from phloem.kernels.objective.bounded_log import physical
    from phloem.kernels.time_loop.day_tables import day_tables
    from phloem.kernels.time_loop.run_days import Periods, run_days
    from phloem.names import PERIOD, STREAMS

    model = dalec("strict")
    made = boreal_weather(61.8, years, np.random.default_rng(1))
    time, doy = made.pop("time"), made.pop("doy")
    terms = weather(time, doy, 61.8, made, len(time), STRICT)
    nothing = model.observed(*[np.zeros(len(time))] * len(model.observed._fields))  # type: ignore[attr-defined]
    data = day_tables([terms] * 2, [nothing] * 2, np.float32)
    raw = np.random.default_rng(2).normal(0, 1, (len(UNKNOWNS), lanes)).astype(np.float32)
    values = physical(jnp.asarray(raw), UNKNOWNS)
    p, s = model.inputs_of_values(values[:30]), model.first_state(values[30:])
    cells = jnp.zeros(lanes, jnp.int32)
    written = tuple(one.name for one in daily_outputs(TOWERS))
    every = model.outputs._fields  # type: ignore[attr-defined]
    months = Periods.of(np.arange(len(time)) * 12 // round(PERIOD), data.weather_row.shape[0])

    @jax.jit
    def plain_loop(p, s):  # type: ignore[no-untyped-def]
        constants = model.prepare(p)

        def day(state: object, row: Array) -> object:
            return model.step(state, constants, model.weather(*jnp.take(data.weather[row], cells, axis=1)))

        return lax.scan(day, s, data.weather_row)[1]

    def kept(outputs: tuple[str, ...], periods: Periods | None = None):  # type: ignore[no-untyped-def]
        return jax.jit(lambda p, s: run_days(model, p, s, data, cells, outputs, periods=periods, backend="cpu")[1])

    cases = {
        f"xla loop, all {len(every)} outputs by day": plain_loop,
        f"cpu, all {len(every)} outputs by day": kept(every),
        "cpu, what simulate writes, by day": kept(written),
        "cpu, the four streams by day": kept(STREAMS),
        "cpu, what simulate writes, by month": kept(written, months),
    }
    reference = 0.0
    for name, function in cases.items():
        seconds = median_seconds(lambda: function(p, s), repeats)  # noqa: B023
        reference = reference or seconds
        each = 1e6 * seconds / lanes / (len(time) / PERIOD)
        print(f"{name:40} {1e3 * seconds:8.1f} ms {each:8.2f} us a cell-year {reference / seconds:6.1f}x", flush=True)


if __name__ == "__main__":
    main()
