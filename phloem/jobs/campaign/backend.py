"""The backend that runs the time loop of a campaign: resolved when it is planned, the same in every worker."""

from __future__ import annotations

import os

from phloem.errors import InputError
from phloem.jobs.config.campaign_file import Configuration


def resolve_backend(configuration: Configuration) -> Configuration:
    """Return a configuration with a backend: `auto` is `gpu` on GPUs, `cpu` where a C compiler works, else `xla`.

    A campaign on GPUs is planned on machines that have none, too: whether the backend runs is asked where it computes.

    Raises:
        InputError: `cpu` was chosen, and no C compiler works here.
    """
    from phloem.kernels.time_loop.backends import runs_here

    if configuration.engine.gpus:
        return configuration.with_backend("gpu")
    require_backend(configuration)
    return configuration.with_backend("cpu" if runs_here("cpu") else "xla")


def require_backend(configuration: Configuration) -> None:
    """Refuse to compute where the campaign's backend cannot run: another one would give other last bits.

    Raises:
        InputError: the backend is `cpu` or `gpu`, and a compiler that it needs is not here.
    """
    from phloem.kernels.time_loop.backends import missing_tool, runs_here

    if configuration.experiment.time_loop == "gpu" and (why := missing_tool("gpu")):
        raise InputError(f'experiment.backend = "gpu" on {os.uname().nodename}: {why}')
    if configuration.experiment.time_loop == "cpu" and not runs_here("cpu"):
        raise InputError(
            f'experiment.backend = "cpu" needs a C compiler, and none works on {os.uname().nodename}: install gcc or '
            'clang, or set CC to one; or plan the campaign with experiment.backend = "xla", which needs none and is '
            "many times slower"
        )
