"""How the tests are parted: what is left out between two edits, and what cannot run side by side."""

from pathlib import PurePosixPath

LONG = {
    "analysis/attribution/test_all_targets.py",
    "analysis/curves/test_growth_curves.py",
    "analysis/interpret",
    "analysis/report",
    "engines",
    "faults",
    "gradients",
    "hpc/test_local_engine.py",
    "io/merge/test_cf_conventions.py",
    "io/merge/test_grid_bands.py",
    "io/merge/test_write_merged.py",
    "io/products",
    "jobs/analyse/test_attribute.py",
    "jobs/analyse/test_benchmark.py",
    "jobs/analyse/test_benchmark_grid.py",
    "jobs/calibration",
    "jobs/campaign",
    "jobs/commands",
    "jobs/config/test_parameters_file.py",
    "jobs/experiments",
    "jobs/ingest",
    "jobs/network",
    "jobs/network_analyses",
    "jobs/network_products",
    "jobs/notebook",
    "jobs/run",
    "jobs/synthetic/globe/test_globe_partition.py",
    "jobs/synthetic/globe/test_globe_store.py",
    "jobs/synthetic/test_transect.py",
    "jobs/test_own_model.py",
    "jobs/test_single_cell.py",
    "jobs/test_wheel.py",
    "jobs/tile",
    "kernels/calibrations",
    "kernels/flux_network/test_constrained_loss.py",
    "kernels/models/baselines/test_derivatives.py",
    "kernels/models/dalec_daily/test_grid_operators.py",
    "kernels/network/test_patch_outputs.py",
    "kernels/optimise/test_adam.py",
    "kernels/optimise/test_lanes.py",
    "kernels/simulate/test_daily_outputs.py",
    "kernels/time_loop/cuda",
    "kernels/time_loop/test_backends.py",
    "kernels/time_loop/test_fold.py",
    "kernels/time_loop/test_long_runs.py",
    "kernels/time_loop/test_odd_models.py",
    "sharding/lanes",
    "sharding/training/test_data_parallel.py",
    "sharding/training/test_flux_network_training.py",
    "test_support.py",
}
"""Rooms and modules of tests that take more than 10 s, which `--quick` (make quick) leaves out."""

RAY = (
    "test_training",
    "test_ray_engine",
    "test_ray_campaign",
    "test_ray_devices",
    "test_ray_gpus",
    "test_equality",
    "test_soak",
)
"""Modules that start Ray; some look at all that Ray has left on the machine, so that one goes after the other."""


def cluster_of(module: str) -> str:
    """Return what a module of tests shares with others that cannot run beside it: a cluster, or nothing but itself."""
    name = PurePosixPath(module).stem
    return "ray" if name in RAY else "slurm" if name.startswith("test_slurm") else module
