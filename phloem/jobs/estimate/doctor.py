"""`doctor`: what this machine can do, and what is missing."""

from __future__ import annotations

import importlib.metadata
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from phloem.hpc.local_engine import default_workers
from phloem.io.files.atomic import write_atomically
from phloem.jobs.config.paths import data_root
from phloem.version import VERSION

PACKAGES = ("jax", "jaxlib", "optax", "numpy", "h5py", "netCDF4", "xarray")


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes:
        name: what.
        level: `ok`, `note` or `problem`.
        text: what was found, and what to do about it.
    """

    name: str
    level: str
    text: str


def examine(folder: Path) -> list[Check]:
    """Look at the machine, and at the folder where campaigns would go."""
    checks = [
        _guard("python", _python),
        _guard("packages", _packages),
        _guard("processor", _processor),
        _guard("devices", _devices),
        _guard("compiler", _compiler),
        _guard("file system", lambda: _file_system(folder)),
        _guard("data", _data),
        _guard("engines", lambda: ("ok", "local (processes on this machine)")),
        _guard("gradient", _gradient),
    ]
    return [Check("phloem", "ok", VERSION), *checks]


def _guard(name: str, look: Callable[[], tuple[str, str]]) -> Check:
    """Turn whatever goes wrong in a check into its finding."""
    try:
        return Check(name, *look())
    except Exception as error:
        return Check(name, "problem", f"{type(error).__name__}: {error}")


def _python() -> tuple[str, str]:
    level = "ok" if sys.version_info >= (3, 11) else "problem"
    return level, f"{sys.version.split()[0]} at {sys.executable}"


def _packages() -> tuple[str, str]:
    return "ok", ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)


def _processor() -> tuple[str, str]:
    memory = psutil.virtual_memory().total / 2**30
    return "ok", f"{default_workers()} cores usable, {memory:.1f} GiB of memory"


def _devices() -> tuple[str, str]:
    import jax

    return "ok", ", ".join(f"{d.platform}:{d.id}" for d in jax.local_devices())


def _compiler() -> tuple[str, str]:
    from phloem.kernels.time_loop.cpu.c_compiler import find_compiler

    found = find_compiler()
    if found is None:
        return (
            "note",
            "none works: campaigns run on the xla backend, many times slower; install gcc or clang, or set CC",
        )
    return "ok", found.version


def _file_system(folder: Path) -> tuple[str, str]:
    free = shutil.disk_usage(folder).free / 2**30
    with tempfile.TemporaryDirectory(dir=folder) as inside:
        begun = time.perf_counter()
        for count in range(5):
            write_atomically(Path(inside) / f"{count}", b"x" * 1_000_000)
        milliseconds = 200 * (time.perf_counter() - begun)
    level = "ok" if free > 1 else "problem"
    return (
        level,
        f"{folder.resolve()}: {free:.1f} GiB free, a durable write of 1 MB takes {milliseconds:.0f} ms",
    )


def _data() -> tuple[str, str]:
    root = data_root()
    if root is None:
        return "note", "PHLOEM_DATA is not set; only tests and examples on real data need it"
    return ("ok", str(root)) if root.is_dir() else ("problem", f"PHLOEM_DATA = {root} is not a folder")


def _gradient() -> tuple[str, str]:
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
    return ("ok", text) if finite else ("problem", f"{text}; the numbers are not finite")


def as_json(checks: list[Check]) -> dict[str, Any]:
    """Return the checks as a JSON object."""
    return {
        "ok": all(check.level != "problem" for check in checks),
        "checks": [asdict(check) for check in checks],
    }
