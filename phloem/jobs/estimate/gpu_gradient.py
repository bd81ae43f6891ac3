"""A small gradient of the real model on a GPU, compared bit by bit with the cpu backend.

`python -m phloem.jobs.estimate.gpu_gradient` makes the comparison on the first GPU of CUDA_VISIBLE_DEVICES, keeps what
it found for `auto`, and prints it as JSON: a driver that hangs hangs that process alone.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from phloem.hpc.commands import last_line, run_command
from phloem.hpc.gpus import VISIBLE
from phloem.hpc.tasks import EngineError

if TYPE_CHECKING:
    import jax

SECONDS = 180.0
"""How long a comparison may take apart: imports and compiling, on a parallel file system, and a driver that wakes."""

LANES, YEARS = 256, 2
"""Two blocks of lanes, and weather in which every branch of the model is taken."""


@dataclass(frozen=True)
class GradientCheck:
    """What a comparison found.

    Attributes:
        device: kind of device; empty where none was reached.
        driver: version of its driver.
        compiler: of the kernels.
        fault: why bits do not agree, or what went wrong; empty where they agree.
        compared: whether the gradient was computed on both sides.
        seconds: of the whole comparison, compiling included.
    """

    device: str = ""
    driver: str = ""
    compiler: str = ""
    fault: str = ""
    compared: bool = False
    seconds: float | None = None


def check_here(device: jax.Device, precision: str = "float32") -> GradientCheck:
    """Compare in this process, and remember what was found for `auto`.

    Args:
        device: a GPU; or a processor, where a library stands in for the driver.
        precision: `float32` or `float64`.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np

    from phloem.jobs.config.campaign_file import CampaignSection, Configuration, Data
    from phloem.jobs.synthetic.transect import make_cell
    from phloem.kernels.objective.bounded_log import physical
    from phloem.kernels.objective.site import site_data
    from phloem.kernels.time_loop.checked_cards import card_of, keep_verdict
    from phloem.kernels.time_loop.gradient_bits import differing_results

    card = card_of(device)
    found = GradientCheck(card.device, card.driver, card.compiler)
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        cells = [make_cell(f"check {number}", 48.0 + 8 * number, YEARS, number)[0] for number in range(2)]
        plan = Configuration(campaign=CampaignSection(name="check"), data=Data(kind="synthetic"))
        experiment = plan.calibration
        model, unknowns = experiment.objective().model, experiment.tables.unknowns
        data = site_data([experiment.site(cell) for cell in cells], np.dtype(precision)).tables
        raw = np.random.default_rng(0).standard_normal((len(unknowns), LANES))
        values = physical(jnp.asarray(raw, precision), unknowns)
        count = len(experiment.tables.parameters)
        inputs, first = model.inputs_of_values(values[:count]), model.first_state(values[count:])
    lane_cell = np.sort(np.arange(LANES, dtype=np.int32) % len(cells))
    begun = time.perf_counter()
    differing = differing_results(model, inputs, first, data, lane_cell, device)
    took = time.perf_counter() - begun
    fault = ", ".join(f"{name} differ by {size:.1e} of the largest" for name, size in differing.items())
    keep_verdict(card, precision, fault)
    return replace(found, fault=fault, compared=True, seconds=round(took, 1))


def check_apart(gpu: str | None, seconds: float = SECONDS) -> GradientCheck:
    """Compare in a process of its own that sees one GPU; never raises, and never waits much longer than `seconds`.

    Args:
        gpu: as CUDA_VISIBLE_DEVICES names it; None leaves that variable as it is.
        seconds: after this long the process is killed, and left behind where even that does not end it.
    """
    environment = gpu_environment(gpu)
    try:
        answer = run_command([sys.executable, "-m", "phloem.jobs.estimate.gpu_gradient"], seconds, environment)
        return GradientCheck(**json.loads(answer.splitlines()[-1]))
    except EngineError as error:
        if not error.answered:
            return GradientCheck(fault=f"no gradient within {seconds:.0f} s: the driver or the GPU does not answer")
        return GradientCheck(fault=last_line(error.said) or "it ended without a word")
    except (ValueError, IndexError, TypeError) as error:
        return GradientCheck(fault=f"its answer cannot be read: {error}")


def gpu_environment(gpu: str | None = None) -> dict[str, str]:
    """Return the variables of a process that computes on a GPU beside others, and holds no more memory than it needs.

    Args:
        gpu: as CUDA_VISIBLE_DEVICES names it; None leaves that variable as it is.
    """
    from phloem.kernels.time_loop.cuda.driver import platform

    environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    environment["JAX_PLATFORMS"] = ",".join(dict.fromkeys((platform(), "cpu")))
    if gpu is not None:
        environment[VISIBLE] = gpu
    return environment


def main() -> None:
    """Compare on the first device of this process, and print what was found."""
    import jax

    found: Any = check_here(jax.local_devices()[0])
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
