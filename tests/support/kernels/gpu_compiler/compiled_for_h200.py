"""Compiles the gpu backend's programs for H200s that are not there; prints what XLA made of them, a JSON line each.

    PYTHONPATH=.gpu-compiler:. python -m tests.support.kernels.gpu_compiler.compiled_for_h200 value adjoint advance:4

A word is a program, after a colon the devices: value, adjoint, tangents, gradient, advance (a chunk of the optimiser).
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["JAX_PLATFORMS"] = "cpu"  # the plugin only compiles
DUMP = Path(tempfile.mkdtemp(prefix="compiled-for-h200-"))
atexit.register(shutil.rmtree, DUMP, ignore_errors=True)
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_dump_to={DUMP} --xla_dump_hlo_as_text"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax.experimental import topologies  # noqa: E402
from jax.sharding import Mesh, NamedSharding  # noqa: E402
from jax.sharding import PartitionSpec as P  # noqa: E402

from phloem.kernels.calibrations.dalec_daily.site_objective import SiteObjective  # noqa: E402
from phloem.kernels.models.dalec_daily.daily_step import dalec, inputs  # noqa: E402
from phloem.kernels.models.dalec_daily.mode_switches import STRICT  # noqa: E402
from phloem.kernels.objective.site import site_data  # noqa: E402
from phloem.kernels.optimise.optimiser import begin  # noqa: E402
from phloem.kernels.optimise.windowed_bfgs import WindowedBfgs  # noqa: E402
from phloem.kernels.time_loop.day_tables import SEGMENT, DayTables  # noqa: E402
from phloem.kernels.time_loop.flat_day import Text  # noqa: E402
from phloem.kernels.time_loop.fold_primitives import adjoint_p, tangent_p, value_p  # noqa: E402
from phloem.sharding.lanes.device_rounds import AXIS, BY_LANE, REPLICATED, TABLES, advance_program  # noqa: E402
from tests.support.kernels.builders import made_site  # noqa: E402
from tests.support.kernels.gpu_compiler.device_operations import operations_by_loop  # noqa: E402

HERE = Path(__file__).parent
COLLECTIVES = ("all-reduce", "all-gather", "all-to-all", "collective-permute", "reduce-scatter", "collective-broadcast")


@dataclass(frozen=True)
class Size:
    """How wide and long a program is: what a device has."""

    lanes: int = 50_688
    cells: int = 10_138
    days: int = 206 * SEGMENT  # 36 years
    tangents: int = 2


def h200s(count: int) -> Mesh:
    """Return H200s of one host that programs can be compiled for, as a mesh."""
    config = (HERE / "h200.txtpb").read_text()
    found = topologies.get_topology_desc("", "cuda", target_config=config, topology=f"1x1x{count}").devices
    return Mesh(np.array(found), (AXIS,))


def on_mesh(mesh: Mesh, spec: P, shape: tuple[int, ...], dtype: Any) -> jax.ShapeDtypeStruct:
    """Return an array that is not there, as long as those of all devices together on the axis that a spec names."""
    whole = tuple(n * (mesh.size if place < len(spec) and spec[place] else 1) for place, n in enumerate(shape))
    return jax.ShapeDtypeStruct(whole, dtype, sharding=NamedSharding(mesh, spec))


def site_tables(mesh: Mesh, size: Size) -> Any:
    """Return the tables of a round, of real ones' shapes in all but cells and days."""
    small = site_data([made_site(SEGMENT, 1, STRICT)], np.float32)

    def widened(name: str, spec: P, array: Any) -> jax.ShapeDtypeStruct:
        shape = list(array.shape)
        if name != "facts" and name in DayTables._fields:
            shape[0] = size.days
        shape = [size.cells if place < len(spec) and spec[place] else n for place, n in enumerate(shape)]
        return on_mesh(mesh, spec, tuple(shape), array.dtype)

    tables = DayTables(*(widened(n, getattr(TABLES.tables, n), getattr(small.tables, n)) for n in DayTables._fields))
    rest = {
        name: jax.tree.map(lambda array, name=name: widened(name, getattr(TABLES, name), array), getattr(small, name))
        for name in small._fields
        if name != "tables"
    }
    return type(small)(tables=tables, **rest)


def fold_program(what: str, size: Size) -> tuple[Any, list[Any]]:
    """Return one of the three primitives for one device, and its arguments."""
    mesh = h200s(1)
    model = dalec("strict")
    columns = jax.ShapeDtypeStruct((1,), jnp.float32)
    constants = jax.eval_shape(lambda *rows: model.prepare(inputs(jnp.stack(rows))), *[columns] * len(model.parameters))
    text = Text(model, jax.tree.structure(constants), SEGMENT, False)
    single = jnp.float32

    def array(*shape: int, dtype: Any = single) -> jax.ShapeDtypeStruct:
        return on_mesh(mesh, REPLICATED, shape, dtype)

    tables = site_tables(mesh, size).tables
    c, s = array(text.constants, size.lanes), array(text.states, size.lanes)
    kept = array(size.days // SEGMENT, text.states, size.lanes)
    common = [*tables, array(size.lanes, dtype=jnp.int32)]
    if what == "value":
        return lambda *a: value_p.bind(*a, text=text, backend="gpu", periods=0), [c, s, *common]
    if what == "adjoint":
        run = lambda *a: adjoint_p.bind(*a, text=text, backend="gpu", periods=0, last=False)  # noqa: E731
        return run, [c, kept, *common, array(text.sums, size.lanes)]
    dots = [array(size.tangents, n, size.lanes) for n in (text.constants, text.states)]
    return lambda *a: tangent_p.bind(*a, text=text, backend="gpu", periods=0), [c, s, *common, kept, *dots]


def gradient_program(mesh: Mesh, size: Size) -> tuple[Any, list[Any]]:
    """Return loss and gradient of a block of lanes on each device, and their arguments."""
    objective = SiteObjective(dalec("strict"), backend="gpu")

    def shard(raw: Any, sharpness: Any, data: Any, cell: Any) -> Any:
        return objective.loss_and_gradient(raw.T, sharpness, data, cell)

    specs = (BY_LANE, BY_LANE, TABLES, BY_LANE)
    program = jax.shard_map(shard, mesh=mesh, in_specs=specs, out_specs=(BY_LANE, P(None, AXIS)), check_vma=False)
    raw = on_mesh(mesh, BY_LANE, (size.lanes, len(objective.unknowns)), jnp.float32)
    sharpness = on_mesh(mesh, BY_LANE, (size.lanes,), jnp.float32)
    return program, [raw, sharpness, site_tables(mesh, size), on_mesh(mesh, BY_LANE, (size.lanes,), jnp.int32)]


def advance_of_round(mesh: Mesh, size: Size) -> tuple[Any, list[Any]]:
    """Return the optimiser's program of a campaign's round, and its arguments."""
    objective, optimiser = SiteObjective(dalec("strict"), backend="gpu"), WindowedBfgs()
    few = 2  # of a real block: every leaf has its lanes first
    made = begin(optimiser, objective.model, 0, [0] * few, [0] * few, [{}] * few, jnp.float32, few)
    lanes = jax.tree.map(lambda leaf: on_mesh(mesh, BY_LANE, (size.lanes, *leaf.shape[1:]), leaf.dtype), made)
    cell = on_mesh(mesh, BY_LANE, (size.lanes,), jnp.int32)
    scalar = on_mesh(mesh, REPLICATED, (), jnp.int32)
    return advance_program(objective, optimiser, mesh), [site_tables(mesh, size), cell, lanes, scalar, scalar]


def compile_for_h200(what: str, count: int, size: Size) -> dict[str, Any]:
    """Compile a program and return what XLA says of it, bytes and operations being those of one device."""
    shutil.rmtree(DUMP)
    DUMP.mkdir()
    if what in ("value", "adjoint", "tangents"):
        program, arguments = fold_program(what, size)
    else:
        mesh = h200s(count)
        program, arguments = (gradient_program if what == "gradient" else advance_of_round)(mesh, size)
    begun = time.monotonic()
    compiled = jax.jit(program).lower(*arguments).compile()
    memory, text = compiled.memory_analysis(), compiled.as_text()
    return {
        "program": what,
        "devices": count,
        "lanes": size.lanes,
        "cells": size.cells,
        "days": size.days,
        "seconds": round(time.monotonic() - begun, 1),
        "argument_bytes": memory.argument_size_in_bytes,
        "output_bytes": memory.output_size_in_bytes,
        "temporary_bytes": memory.temp_size_in_bytes,
        "collectives": [name for name in COLLECTIVES if f" {name}" in text],
        "launches": text.count('custom_call_target="phloem_launch"'),
        "operations": operations_by_loop(DUMP),
    }


if __name__ == "__main__":
    for word in sys.argv[1:]:
        program, _, devices = word.partition(":")
        print(json.dumps(compile_for_h200(program, int(devices or 1), Size())), flush=True)
