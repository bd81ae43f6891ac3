"""Folds a small model by the gpu backend: `python -m tests.support.kernels.pond_on_gpu [RUNS]`.

Prints a line for each run: the digest of the bits, or the error's first line.
"""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from phloem.kernels.time_loop.day_tables import DayTables, day_tables
from phloem.kernels.time_loop.fold import fold
from tests.support.kernels.small_model import POND, Inputs, Observed, Pond, Weather

LANES = 200
DAYS = 21


def pond_case(lanes: int = LANES) -> tuple[Inputs, Pond, DayTables, jax.Array]:
    """Return inputs, first state, tables of three cells and the lanes' cells."""
    rng = np.random.default_rng(1)
    weather = [Weather(rng.uniform(0, 2, n), rng.uniform(0, 1, n)) for n in (DAYS, DAYS - 3, DAYS // 2)]
    observed = [Observed(rng.uniform(0, 3, len(w.sun)), rng.uniform(0, 1, len(w.sun)).round()) for w in weather]
    data = day_tables(weather, observed, np.float32, segment=7)
    leak, width = (jnp.asarray(rng.uniform(0.1, 1.5, lanes), jnp.float32) for _ in range(2))
    level, heat = (jnp.asarray(rng.uniform(0.3, 2.0, lanes), jnp.float32) for _ in range(2))
    return Inputs(leak, width), Pond(level, heat), data, jnp.arange(lanes, dtype=jnp.int32) % 3


def pond_sums(case: tuple[Inputs, Pond, DayTables, jax.Array], backend: str) -> Any:
    """Return the sums, each (lanes,)."""
    return fold(POND, *case, segment=7, backend=backend)[1]


def pond_gradient(case: tuple[Inputs, Pond, DayTables, jax.Array], backend: str) -> list[Any]:
    """Return the sums and their gradient by the inputs and the first state."""
    inputs, state, data, cells = case

    def total(inputs: Inputs, state: Pond) -> Any:
        last, sums = fold(POND, inputs, state, data, cells, segment=7, backend=backend)
        return sum(part.sum() for part in (*sums, *last)), sums

    (_, sums), bars = jax.jit(jax.value_and_grad(total, (0, 1), has_aux=True))(inputs, state)
    return [np.asarray(leaf) for leaf in jax.tree.leaves((sums, bars))]


def main() -> None:
    """Run so many times and print what came of each."""
    case = pond_case()
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 1):
        try:
            found = pond_gradient(case, "gpu")
            print(hashlib.sha256(b"".join(leaf.tobytes() for leaf in found)).hexdigest(), flush=True)
        except Exception as error:
            print(f"{type(error).__name__}: {str(error).splitlines()[0]}", flush=True)


if __name__ == "__main__":
    main()
