"""The cpu backend: the fold as C, printed from the model's jaxprs, compiled once and called by XLA.

Block width and segment are the only numbers that were tuned; see docs/kernels.md for what was tried.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array
from jaxtyping import Float, Int32

from phloem.kernels.time_loop.cpu.c_compiler import load
from phloem.kernels.time_loop.cpu.c_printer import Printed, adjoint_bodies, tangent_bodies, value_bodies
from phloem.kernels.time_loop.day_tables import DayTables
from phloem.kernels.time_loop.flat_day import Text

LANES = 64
"""Lanes a block: four vectors of AVX-512, enough independent work to hide what one day waits for the day before."""

TANGENT_LANES = 16
"""Lanes a block where each lane carries so many tangents."""

HERE = Path(__file__).parent

SHARED = HERE / "fold_shared.c"
"""Text that kernels of the gpu backend have too."""


class Loaded(NamedTuple):
    """A kernel in this process."""

    library: ctypes.CDLL
    kernel: str
    model: str
    dtype: np.dtype


_loaded: dict[str, Loaded] = {}
"""Libraries by the name XLA knows: equal texts have one, whichever cache it came from."""

ARGUMENTS = {"VALUE": 8, "ADJOINT": 9, "TANGENT": 10}
"""Arguments of each kernel; an adjoint that starts from the last state too has one more."""


def source(kernel: str, text: Text, dtype: Any, last: bool = True) -> str:
    """Return the C text of a kernel.

    Args:
        kernel: `VALUE`, `ADJOINT` or `TANGENT`.
        text: the model text.
        dtype: float32 or float64.
        last: whether the adjoint starts from the last state too.
    """
    dtype = np.dtype(dtype)
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"the cpu backend folds float32 and float64, not {dtype}")
    printed: Printed
    if kernel == "VALUE":
        printed = value_bodies(text, dtype)
    elif kernel == "ADJOINT":
        printed = adjoint_bodies(text, dtype, last)
    else:
        printed = tangent_bodies(text, dtype)
    macros: dict[str, int | str] = {
        "B": TANGENT_LANES if kernel == "TANGENT" else LANES,
        "SEGMENT": text.segment,
        "K": max(1, len(text.model.unknowns)),  # all tangents of a lane share one run of the primal
        "DOUBLE": int(dtype == np.float64),
        "LAST": int(last),
        "KEPT": int(bool(text.kept)),
        "ARGUMENTS": ARGUMENTS[kernel] + (kernel == "ADJOINT") * (last + bool(text.daily)),
        "KERNEL": kernel,
    }
    head, shared, loops = ((HERE / name).read_text() for name in ("fold_cpu_head.c", SHARED.name, "fold_cpu.c"))
    sizes = "".join(f"#define {name} {size}\n" for name, size in (macros | dict(printed.sizes)).items())
    return f"/* {text.model.name}, {kernel.lower()}, {dtype} */\n{sizes}\n{head}\n{shared}\n{printed.text}\n{loops}"


@functools.cache
def _target(kernel: str, text: Text, dtype: np.dtype, last: bool) -> str:
    """Build, load and register a kernel; return the name that XLA calls it by."""
    include = Path(jax.ffi.include_dir())
    headers = [include / "xla/ffi/api/c_api.h"]
    path, library = load(source(kernel, text, dtype, last), "fold", headers=headers, includes=[str(include)])
    name = f"phloem_{path.stem}"
    if name not in _loaded:
        _loaded[name] = Loaded(library, kernel, text.model.name, dtype)
        jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(_loaded[name].library.phloem_fold), platform="cpu")
    return name


def scratch_bytes(model: str, dtype: Any) -> int:
    """Return the bytes in which a thread works on a block's gradient: the most of a model's kernels loaded so far."""
    sizes = [0]
    for library, kernel, name, kind in _loaded.values():
        if kernel != "TANGENT" and (name, kind) == (model, np.dtype(dtype)):
            library.phloem_scratch.restype = ctypes.c_long
            sizes.append(library.phloem_scratch())
    return max(sizes)


def _call(kernel: str, text: Text, shapes: Sequence[tuple[int, ...]], arguments: Sequence[Array], last: bool) -> Any:
    dtype = arguments[0].dtype
    results = [jax.ShapeDtypeStruct(shape, dtype) for shape in shapes]
    return jax.ffi.ffi_call(_target(kernel, text, np.dtype(dtype), last), results)(*arguments)


def _tables(data: DayTables, lane_cell: Int32[Array, " lanes"]) -> list[Array]:
    return [data.weather, data.observed, data.weather_row, data.observed_row, data.live, lane_cell]


def value(
    text: Text,
    constants: Float[Array, "constants lanes"],
    state0: Float[Array, "states lanes"],
    data: DayTables,
    lane_cell: Int32[Array, " lanes"],
    periods: int = 0,
) -> list[Array]:
    """Run the fold.

    Args:
        text: the model text.
        constants: shape (constants, lanes).
        state0: shape (states, lanes).
        data: tables of the cells.
        lane_cell: cell of each lane, int32, shape (lanes,).
        periods: of kept outputs, as in `fold_by_primitive`.

    Returns:
        The last state (states, lanes), the sums (sums, lanes), or the kept outputs (outputs, periods, lanes), the state
        at the start of each segment (segments, states, lanes), and daily outputs if any (outputs, days, lanes).
    """
    shapes = text.value_shapes(periods, data.weather_row.shape[0], lane_cell.shape[0])
    return list(_call("VALUE", text, shapes, [constants, state0, *_tables(data, lane_cell)], True))


def adjoint(
    text: Text,
    constants: Float[Array, "constants lanes"],
    checkpoints: Float[Array, "segments states lanes"],
    data: DayTables,
    lane_cell: Int32[Array, " lanes"],
    last_bar: Float[Array, "states lanes"] | None,
    sums_bar: Float[Array, "sums *periods lanes"],
    daily_bar: Float[Array, "outputs days lanes"] | None = None,
) -> tuple[Float[Array, "constants lanes"], Float[Array, "states lanes"]]:
    """Run the fold's reverse mode.

    Args:
        text: the model text.
        constants: shape (constants, lanes).
        checkpoints: as `value` returns them.
        data: tables of the cells.
        lane_cell: cell of each lane, shape (lanes,).
        last_bar: adjoint of the last state, shape (states, lanes), or None where it is 0.
        sums_bar: adjoint of the sums, shape (sums, lanes), or of kept outputs, (outputs, periods, lanes).
        daily_bar: adjoint of the daily outputs, where the text has some.

    Returns:
        Adjoints of the constants (constants, lanes) and of the first state (states, lanes).
    """
    lanes = lane_cell.shape[0]
    arguments = [constants, checkpoints, *_tables(data, lane_cell), sums_bar]
    arguments += [bar for bar in (daily_bar, last_bar) if bar is not None]
    shapes = [(text.constants, lanes), (text.states, lanes)]
    constants_bar, state0_bar = _call("ADJOINT", text, shapes, arguments, last_bar is not None)
    return constants_bar, state0_bar


def tangent(
    text: Text,
    constants: Float[Array, "constants lanes"],
    state0: Float[Array, "states lanes"],
    data: DayTables,
    lane_cell: Int32[Array, " lanes"],
    constants_dot: Float[Array, "tangents constants lanes"],
    state0_dot: Float[Array, "tangents states lanes"],
) -> tuple[Float[Array, "tangents states lanes"], Float[Array, "tangents sums lanes"]]:
    """Run the fold's forward mode for a block of tangents.

    Args:
        text: the model text.
        constants: shape (constants, lanes).
        state0: shape (states, lanes).
        data: tables of the cells.
        lane_cell: cell of each lane, shape (lanes,).
        constants_dot: tangents of the constants, shape (tangents, constants, lanes).
        state0_dot: tangents of the first state, shape (tangents, states, lanes).

    Returns:
        Tangents of the last state (tangents, states, lanes) and of the sums (tangents, sums, lanes).
    """
    lanes, tangents = lane_cell.shape[0], constants_dot.shape[0]
    arguments = [constants, state0, *_tables(data, lane_cell), constants_dot, state0_dot]
    shapes = [(tangents, text.states, lanes), (tangents, text.sums, lanes)]
    last_dot, sums_dot = _call("TANGENT", text, shapes, arguments, True)
    return last_dot, sums_dot
