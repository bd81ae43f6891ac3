"""`doctor`: abilities of this machine, what is missing, and the command that mends it."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from phloem.hpc.gpu_driver import list_gpus_apart
from phloem.hpc.usable_cores import allocated, usable_cores
from phloem.jobs.config.paths import data_root
from phloem.jobs.estimate.check import Check, CheckFinding, run_check
from phloem.jobs.estimate.engine_checks import check_mpi, check_ray, check_slurm
from phloem.jobs.estimate.folder_checks import GIB, check_folder, check_kernel_cache, check_program_cache
from phloem.jobs.estimate.gpu_checks import check_gpus, check_gradients, device_files, gpu_names, gpus_of_jax
from phloem.jobs.installed_jax import find_mismatch, installed
from phloem.sharding.lanes.devices import keep_off_gpus
from phloem.version import VERSION

PACKAGES = ("jax", "jaxlib", "optax", "numpy", "h5py", "netCDF4", "xarray")


def examine(folder: Path) -> list[Check]:
    """Look at the machine, and at the folder where campaigns would go.

    GPUs are looked at by processes of their own: this one has no context on any, which one in exclusive mode would not
    give to two, and it does not hang where a driver does.
    """
    listing, files = list_gpus_apart(), device_files()
    there = bool(listing.gpus or files)
    seen, why_unseen = gpus_of_jax() if there else ([], "")
    gradients = [run_check("gpu gradient", lambda: check_gradients(gpu_names(listing, files)))] if there else []
    keep_off_gpus()
    engines = [run_check("ray", check_ray), run_check("mpi", check_mpi), run_check("slurm", check_slurm)]
    return [
        Check("phloem", CheckFinding("ok", VERSION)),
        run_check("python", _python),
        run_check("packages", _packages),
        run_check("processor", _processor),
        run_check("devices", lambda: _devices(seen)),
        run_check("gpus", lambda: check_gpus(listing, files, seen, why_unseen)),
        run_check("compiler", _compiler),
        run_check("file system", lambda: check_folder(folder)),
        run_check("data", _data),
        run_check("engines", lambda: _engines(engines)),
        *engines,
        run_check("gradient", _gradient),
        *gradients,
        run_check("kernels", check_kernel_cache),  # after the gradient, which makes the folder
        run_check("programs", check_program_cache),
    ]


def _python() -> CheckFinding:
    text = f"{sys.version.split()[0]} at {sys.executable}"
    return CheckFinding("ok" if sys.version_info >= (3, 11) else "problem", text)


def _packages() -> CheckFinding:
    text = ", ".join(f"{name} {installed(name) or 'missing'}" for name in PACKAGES)
    wrong = find_mismatch()
    if wrong is None:
        return CheckFinding("ok", text)
    return CheckFinding("problem" if wrong.breaks else "note", f"{text}; {wrong.text}", wrong.remedy)


def _processor() -> CheckFinding:
    memory = psutil.virtual_memory().total / GIB
    job = allocated()
    why = f" (the job's, {job[0]})" if job and job[1] <= usable_cores() else ""
    return CheckFinding("ok", f"{usable_cores()} cores usable{why}, {memory:.1f} GiB of memory")


def _devices(seen: Sequence[str]) -> CheckFinding:
    """Name the devices of this process, and the GPUs that JAX sees in another."""
    import jax

    names = [f"{device.platform}:{device.id}" for device in jax.local_devices()]
    return CheckFinding("ok", ", ".join([*names, *(f"gpu:{number} ({kind})" for number, kind in enumerate(seen))]))


def _compiler() -> CheckFinding:
    from phloem.kernels.time_loop.cpu.c_compiler import find_compiler

    found = find_compiler()
    if found is None:
        text = "none works: campaigns run on the xla backend, many times slower"
        return CheckFinding("note", text, "install gcc or clang, or set CC to one")
    return CheckFinding("ok", found.version, facts={"path": found.path})


def _data() -> CheckFinding:
    root = data_root()
    if root is None:
        text = "PHLOEM_DATA is not set; only tests and examples on real data need it"
        return CheckFinding("note", text, "export PHLOEM_DATA=/the/folder/of/the/data/sets")
    if root.is_dir():
        return CheckFinding("ok", str(root))
    return CheckFinding(
        "problem", f"PHLOEM_DATA = {root} is not a folder", "unset PHLOEM_DATA, or set it to the folder"
    )


def _engines(checks: Sequence[Check]) -> CheckFinding:
    usable = ["local", *(check.name for check in checks if check.level == "ok")]
    return CheckFinding("ok", ", ".join(usable), facts={"usable": usable})


def _gradient() -> CheckFinding:
    """Run one gradient of the real model on weather made up here."""
    import numpy as np

    from phloem.jobs.calibration.tile_calibration import TileCalibration
    from phloem.jobs.campaign.backend import resolve_backend
    from phloem.jobs.config.campaign_file import CampaignSection, Configuration, Data
    from phloem.jobs.synthetic.transect import make_cell

    cell, _ = make_cell("doctor", 60.0, 2, 0)
    configuration = resolve_backend(Configuration(campaign=CampaignSection(name="doctor"), data=Data(kind="synthetic")))
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
    return CheckFinding("ok", text) if finite else CheckFinding("problem", f"{text}; the numbers are not finite")


def as_json(checks: Sequence[Check]) -> dict[str, Any]:
    """Return the checks as a JSON object."""
    return {
        "ok": all(check.level != "problem" for check in checks),
        "checks": [check.to_json() for check in checks],
    }
