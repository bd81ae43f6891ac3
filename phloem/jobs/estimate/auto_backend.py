"""The backend `auto` of one cell: a GPU only where its gradients were compared with the cpu backend's."""

from __future__ import annotations

import warnings

import jax

from phloem.jobs.estimate.gpu_gradient import check_here
from phloem.kernels.time_loop.backends import BackendWarning, missing
from phloem.kernels.time_loop.checked_cards import card_of, verdict_on


def settle_backend(backend: str, precision: str) -> str:
    """Return the backend that runs one cell: as chosen, and for `auto` the first that is known to give the right bits.

    On a machine with a GPU `auto` is `gpu` where its gradients have agreed bit by bit with the cpu backend's, by this
    card, driver and compiler; the comparison is made when it is first wanted, and remembered. Else it is `cpu`, and one
    warning says why.

    Args:
        backend: `auto`, `xla`, `cpu` or `gpu`.
        precision: `float32` or `float64`.
    """
    if backend != "auto" or jax.default_backend() != "gpu":
        return backend
    return choose(jax.local_devices()[0], precision)


def choose(device: jax.Device, precision: str) -> str:
    """Return `gpu` where a device's gradients have the cpu backend's bits, else `cpu`, with a warning that says why.

    Args:
        device: a GPU; or a processor, where a library stands in for the driver.
        precision: `float32` or `float64`.
    """
    why = missing("gpu")
    if not why:
        found = verdict_on(card_of(device), precision)
        if found is None:
            try:
                found = check_here(device, precision).fault
            except Exception as error:  # of a driver or a compiler, of whatever kind: processors are there
                found = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        why = found and f"its gradient is not the cpu backend's ({found})"
    if why:
        warnings.warn(f"the GPU is not used: {why}; phloem doctor says more", BackendWarning, stacklevel=3)
        return "cpu"
    return "gpu"
