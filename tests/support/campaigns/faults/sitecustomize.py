"""Faults in worker processes: Python runs this first wherever the folder stands on PYTHONPATH.

PHLOEM_FAULTS is a JSON list of faults, PHLOEM_FAULT_MARKS a folder in which every deed leaves a file, so that a test
can count them. A fault is {"kind": ..., "cell": ...} with
- crash, hang, memory, exception: done when a worker reads the cell ("*": any cell);
- diverge: the lane (cell, member) begins with values that are no numbers and with its redraws used up, as long as it
  has used fewer than `below` before;
- device: advancing raises JAX's own error with `text`, in a worker whose CUDA_VISIBLE_DEVICES is `gpu`, on `node` of
  SLURM, whose tile has `cell` (each None: any), once it has advanced `after` times, and leaves a mark with the worker's
  number; every later call in that process raises it too, as of a dead context;
- exhausted: advancing raises JAX's own RESOURCE_EXHAUSTED while the worker holds more than `lanes` lanes in flight.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import json
import multiprocessing
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

FAULTS = json.loads(os.environ.get("PHLOEM_FAULTS", "[]"))
MOST_MEMORY = 6 * 2**30
"""A worker that nobody stops stops here, so that a failing test does not take the machine down."""


def mark(kind: str) -> None:
    (Path(os.environ["PHLOEM_FAULT_MARKS"]) / f"{kind}.{secrets.token_hex(6)}").touch()


def do(kind: str, cell: str) -> None:
    mark(kind)
    if kind == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif kind == "hang":
        while True:
            time.sleep(3600)
    elif kind == "memory":
        held = []
        while 2**26 * len(held) < MOST_MEMORY:
            held.append(b"\1" * 2**26)
            time.sleep(0.05)
        raise AssertionError("nobody stopped a worker that takes all memory")
    else:
        raise ArithmeticError(f"cell {cell!r} has no solution")


def poison_cells(module: ModuleType) -> None:
    read = module.Campaign.read_units

    def read_units(self: Any, cells: Sequence[Any]) -> Any:
        for cell in cells if multiprocessing.parent_process() is not None else ():
            for fault in FAULTS:
                if fault["kind"] in ("crash", "hang", "memory", "exception") and fault["cell"] in ("*", cell.name):
                    do(fault["kind"], cell.name)
        return read(self, cells)

    module.Campaign.read_units = read_units


def spoil_lanes(module: ModuleType) -> None:
    first, advance = module.TileCalibration._first, module.TileCalibration.advance
    advances = [0]

    def spoilt(self: Any, seed: int, redraws: list[int], near: Any) -> Any:
        lanes = first(self, seed, redraws, near)
        for fault in FAULTS:
            for place, (position, member) in enumerate(self.lanes):
                named = fault.get("cell") == self._cells[position].name and fault.get("member") == member
                if fault["kind"] == "diverge" and named and redraws[place] < fault["below"]:
                    lanes.raw[place] = float("nan")
                    lanes.redraws[place] = lanes.last_redraw[place]
                    mark("diverge")
        return lanes

    def starved(self: Any, steps: int) -> int:
        advances[0] += 1
        for fault in FAULTS:
            mine = fault.get("gpu") in (None, os.environ.get("CUDA_VISIBLE_DEVICES"))
            mine = mine and fault.get("node") in (None, os.environ.get("SLURMD_NODENAME"))
            mine = mine and fault.get("cell") in (None, *(cell.name for cell in self._cells))
            if fault["kind"] == "device" and mine and advances[0] > fault["after"]:
                import jax

                mark(f"device-{os.environ.get('CUDA_VISIBLE_DEVICES')}-{os.getpid()}")
                raise jax.errors.JaxRuntimeError(fault["text"])
            if fault["kind"] == "exhausted" and self.in_flight > fault["lanes"]:
                import jax

                mark("exhausted")
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1099511627776 bytes.")
        taken: int = advance(self, steps)
        return taken

    module.TileCalibration._first, module.TileCalibration.advance = spoilt, starved


CHANGES: dict[str, Callable[[ModuleType], None]] = {
    "phloem.jobs.campaign.campaign": poison_cells,
    "phloem.jobs.calibration.tile_calibration": spoil_lanes,
}


class Loader(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader, change: Callable[[ModuleType], None]) -> None:
        self.loader, self.change = loader, change

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        self.change(module)


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in CHANGES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = Loader(spec.loader, CHANGES[name])
        return spec


if FAULTS:
    sys.meta_path.insert(0, Finder())
