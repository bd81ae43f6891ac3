"""The backend that runs the time loop of a campaign: resolved when it is planned, the same in every worker."""

from __future__ import annotations

import os

from phloem.errors import InputError
from phloem.jobs.config.campaign_file import Configuration


def resolve_backend(configuration: Configuration) -> Configuration:
    """Return a configuration whose backend is `cpu` or `xla`; `auto` is `cpu` where a C compiler works, `xla` on GPUs.

    Raises:
        InputError: `cpu` was chosen, and no C compiler works here.
    """
    from phloem.kernels.time_loop.backends import runs_here

    require_backend(configuration)
    return configuration.with_backend("cpu" if runs_here("cpu") and not configuration.engine.gpus else "xla")


def require_backend(configuration: Configuration) -> None:
    """Refuse to compute where the campaign's backend cannot run: another one would give other last bits.

    Raises:
        InputError: the backend is `cpu`, and no C compiler works here.
    """
    from phloem.kernels.time_loop.backends import runs_here

    if configuration.experiment.time_loop == "cpu" and not runs_here("cpu"):
        raise InputError(
            f'experiment.backend = "cpu" needs a C compiler, and none works on {os.uname().nodename}: install gcc or '
            'clang, or set CC to one; or plan the campaign with experiment.backend = "xla", which needs none and is '
            "many times slower"
        )
