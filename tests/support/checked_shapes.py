"""The kernels with their annotations checked: every call in this process has the shapes and types that it states.

Arrays are checked by jaxtyping, everything else by beartype, when a function is called, under `jax.jit` when it is
traced. Commands that tests start, and users, run the kernels unchecked: there the annotations are never evaluated.
"""

from __future__ import annotations

import sys

from jaxtyping import install_import_hook

CHECKED = (
    "phloem.kernels.models",
    "phloem.kernels.time_loop.backends",
    "phloem.kernels.time_loop.compensated_sum",
    "phloem.kernels.time_loop.cpu.cpu_backend",
    "phloem.kernels.time_loop.cuda.gpu_backend",
    "phloem.kernels.time_loop.day_tables",
    "phloem.kernels.time_loop.flat_day",
    "phloem.kernels.time_loop.fold",
    "phloem.kernels.time_loop.fold_primitives",
    "phloem.kernels.time_loop.gradient_bits",
    "phloem.kernels.time_loop.run_days",
    "phloem.kernels.flux_network",
    "phloem.kernels.network",
    "phloem.kernels.objective",
    "phloem.kernels.simulate",
    "phloem.kernels.optimise",
    "phloem.kernels.calibrations.dalec_daily.canopy_calibration",
    "phloem.kernels.calibrations.dalec_daily.grid_objective",
    "phloem.kernels.calibrations.dalec_daily.grid_site",
    "phloem.kernels.calibrations.dalec_daily.site",
    "phloem.kernels.calibrations.dalec_daily.site_objective",
)
"""All packages and modules of the kernels that hold arrays. The [experiment] tables hold none, and name the classes of
their annotations for type checkers only, where beartype cannot find them. Nor do the printers of C: they call small
functions 100,000 times a kernel, and checking those took 40 % of the tests of backends."""

TYPE_CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
"""Where a float is due, a whole number will do."""


def install() -> None:
    """Have these modules checked from now on.

    Raises:
        RuntimeError: one of them is imported already, and would go unchecked.
    """
    late = sorted(name for name in sys.modules if name.startswith(CHECKED))
    if late:
        raise RuntimeError(f"imported before it could be checked: {', '.join(late)}")
    install_import_hook(CHECKED, TYPE_CHECKER)
