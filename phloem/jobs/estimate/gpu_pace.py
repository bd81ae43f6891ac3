"""Microseconds per lane-gradient-year on a GPU: measured by a process of its own, or modelled where none is here.

`python -m phloem.jobs.estimate.gpu_pace DIRECTORY` measures the pace of a planned campaign on the first GPU of
CUDA_VISIBLE_DEVICES and prints it as JSON: the process that plans never holds memory of a GPU.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from phloem.errors import InputError
from phloem.hpc.commands import last_line, run_command
from phloem.hpc.gpu_driver import list_gpus_apart
from phloem.hpc.tasks import EngineError
from phloem.jobs.campaign.campaign import Campaign, open_campaign
from phloem.jobs.estimate.gpu_checks import device_files, gpu_names
from phloem.jobs.estimate.gpu_gradient import gpu_environment
from phloem.jobs.estimate.gradient_pace import pace
from phloem.jobs.progress import say

SECONDS = 600.0
"""How long a measurement may take: weather is prepared for a full block, and kernels are compiled."""

MODELLED = 0.03
"""Of the gpu backend on an NVIDIA H200: 317 + 573 instructions a lane-day of value and adjoint, compiled for sm_90, at
12 warps a multiprocessor give 0.016 to 0.021 microseconds; the optimiser beside them half as much again."""

MODELLED_FOR = "NVIDIA H200"


@dataclass(frozen=True)
class GradientPace:
    """How long a gradient of one lane takes a simulated year.

    Attributes:
        microseconds: on one core or one GPU.
        device: kind of device; empty for a core.
        source: `measured`, `modelled` or `stated`.
    """

    microseconds: float
    device: str
    source: str

    def in_words(self) -> str:
        """Return what the pace is one of, for people; empty for a core's."""
        known = {"measured": "measured", "modelled": "modelled, not measured", "stated": "as stated"}[self.source]
        return f"{self.device}, {known}" if self.device else ""


def pace_of(campaign: Campaign, rate: float | None = None) -> GradientPace:
    """Return the pace by which a campaign's hours are projected.

    Args:
        campaign: planned; whether it asks for GPUs, its backend, mode and precision count.
        rate: microseconds that the user states instead.

    Raises:
        InputError: CUDA_VISIBLE_DEVICES names no GPUs.
    """
    engine = campaign.configuration.engine
    if rate is not None:
        return GradientPace(rate, "GPU" if engine.gpus else "", "stated")
    if not engine.gpus:
        return GradientPace(pace(campaign), "", "measured")
    files = device_files()
    listing = list_gpus_apart()
    try:
        names = gpu_names(listing, files) if listing.gpus or files else []
    except EngineError as error:
        raise InputError(str(error)) from error
    if not names:
        why = "this machine has no GPU"
    else:
        say("measuring the pace of a GPU of this machine (plan --rate states one instead)")
        found, why = measure_apart(campaign, names[0])
        if found is not None:
            return found
    if campaign.configuration.experiment.time_loop != "gpu":
        say(f"{why}: the pace is that of a core; plan --rate states that of a GPU")
        return GradientPace(pace(campaign), "one core of this machine", "measured")
    say(f"{why}: the pace is modelled for one {MODELLED_FOR}, not measured; plan --rate states another")
    return GradientPace(MODELLED, MODELLED_FOR, "modelled")


def measure_apart(campaign: Campaign, gpu: str | None, seconds: float = SECONDS) -> tuple[GradientPace | None, str]:
    """Measure in a process of its own; return the pace, or None and why there is none.

    Args:
        campaign: planned.
        gpu: as CUDA_VISIBLE_DEVICES names it; None leaves that variable as it is.
        seconds: after this long the process is killed.
    """
    command = [sys.executable, "-m", "phloem.jobs.estimate.gpu_pace", os.fspath(campaign.paths.root)]
    try:
        answer = run_command(command, seconds, gpu_environment(gpu))
        return GradientPace(**json.loads(answer.splitlines()[-1])), ""
    except EngineError as error:
        if not error.answered:
            return None, f"GPU {gpu} gave no pace within {seconds:.0f} s"
        return None, f"GPU {gpu} gave no pace ({last_line(error.said) or 'no word'})"
    except (ValueError, IndexError, TypeError) as error:
        return None, f"the pace of GPU {gpu} cannot be read ({error})"


def main(directory: str) -> None:
    """Measure a campaign's pace on this process's first GPU, and print it."""
    import jax

    from phloem.kernels.time_loop.checked_cards import card_of

    found = pace(open_campaign(Path(directory)), on_gpu=True)
    print(json.dumps(asdict(GradientPace(found, card_of(jax.local_devices()[0]).device, "measured"))))


if __name__ == "__main__":
    main(sys.argv[1])
