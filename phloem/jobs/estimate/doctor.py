"""`doctor`: what this machine can do, what is missing, and the command that mends it."""

from __future__ import annotations

import importlib.metadata
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from phloem.hpc.local_engine import default_workers
from phloem.jobs.config.paths import data_root
from phloem.jobs.estimate.check import Check, Finding, look
from phloem.jobs.estimate.engine_checks import check_gpus, check_mpi, check_ray, check_slurm
from phloem.jobs.estimate.folder_checks import GIB, check_folder, check_kernel_cache, check_program_cache
from phloem.version import VERSION

PACKAGES = ("jax", "jaxlib", "optax", "numpy", "h5py", "netCDF4", "xarray")


def examine(folder: Path) -> list[Check]:
    """Look at the machine, and at the folder where campaigns would go."""
    engines = [look("ray", check_ray), look("mpi", check_mpi), look("slurm", check_slurm)]
    return [
        Check("phloem", Finding("ok", VERSION)),
        look("python", _python),
        look("packages", _packages),
        look("processor", _processor),
        look("devices", _devices),
        look("gpus", lambda: check_gpus(_seen_gpus())),
        look("compiler", _compiler),
        look("file system", lambda: check_folder(folder)),
        look("data", _data),
        look("engines", lambda: _engines(engines)),
        *engines,
        look("gradient", _gradient),
        look("kernels", check_kernel_cache),  # after the gradient, which makes the folder
        look("programs", check_program_cache),
    ]


def _python() -> Finding:
    text = f"{sys.version.split()[0]} at {sys.executable}"
    return Finding("ok" if sys.version_info >= (3, 11) else "problem", text)


def _packages() -> Finding:
    return Finding("ok", ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES))


def _processor() -> Finding:
    memory = psutil.virtual_memory().total / GIB
    return Finding("ok", f"{default_workers()} cores usable, {memory:.1f} GiB of memory")


def _devices() -> Finding:
    import jax

    return Finding("ok", ", ".join(f"{d.platform}:{d.id}" for d in jax.local_devices()))


def _seen_gpus() -> int:
    """GPUs that JAX sees; it has been asked for its devices before."""
    import jax

    return sum(device.platform == "gpu" for device in jax.local_devices())


def _compiler() -> Finding:
    from phloem.kernels.time_loop.cpu.c_compiler import find_compiler

    found = find_compiler()
    if found is None:
        text = "none works: campaigns run on the xla backend, many times slower"
        return Finding("note", text, "install gcc or clang, or set CC to one")
    return Finding("ok", found.version, facts={"path": found.path})


def _data() -> Finding:
    root = data_root()
    if root is None:
        text = "PHLOEM_DATA is not set; only tests and examples on real data need it"
        return Finding("note", text, "export PHLOEM_DATA=/the/folder/of/the/data/sets")
    if root.is_dir():
        return Finding("ok", str(root))
    return Finding("problem", f"PHLOEM_DATA = {root} is not a folder", "unset PHLOEM_DATA, or set it to the folder")


def _engines(checks: Sequence[Check]) -> Finding:
    usable = ["local", *(check.name for check in checks if check.level == "ok")]
    return Finding("ok", ", ".join(usable), facts={"usable": usable})


def _gradient() -> Finding:
    """Run one gradient of the real model on weather made up here."""
    import numpy as np

    from phloem.jobs.calibration.tile_calibration import TileCalibration
    from phloem.jobs.campaign.backend import settle_backend
    from phloem.jobs.config.campaign_file import Campaign, Configuration, Data
    from phloem.jobs.synthetic.transect import make_cell

    cell, _ = make_cell("doctor", 60.0, 2, 0)
    configuration = settle_backend(Configuration(campaign=Campaign(name="doctor"), data=Data(kind="synthetic")))
    backend = configuration.experiment.time_loop
    lanes = TileCalibration(configuration, [cell])
    begun = time.perf_counter()
    lanes.advance(1)
    compiled = time.perf_counter() - begun
    begun = time.perf_counter()
    lanes.advance(100)
    milliseconds = 10 * (time.perf_counter() - begun)
    finite = np.isfinite(lanes.saved()[".raw"]).all()
    text = f"{backend}: ready in {compiled:.1f} s; {milliseconds:.1f} ms an iteration of 64 lanes x 2 years"
    return Finding("ok", text) if finite else Finding("problem", f"{text}; the numbers are not finite")


def as_json(checks: Sequence[Check]) -> dict[str, Any]:
    """Return the checks as a JSON object."""
    return {
        "ok": all(check.level != "problem" for check in checks),
        "checks": [check.to_json() for check in checks],
    }
