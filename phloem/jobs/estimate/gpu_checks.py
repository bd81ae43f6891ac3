"""Checks of GPUs: what the driver tells, whether JAX and the compiler are there, and a gradient on each."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from phloem.hpc.commands import last_line, run_command
from phloem.hpc.gpu_driver import NO_LIBRARY, Gpu, GpuListing
from phloem.hpc.gpus import VISIBLE, visible_gpus
from phloem.hpc.tasks import EngineError
from phloem.jobs.estimate.check import CheckFinding, Level
from phloem.jobs.estimate.gpu_gradient import GradientCheck, check_apart, gpu_environment

JAX_SECONDS = 120.0
"""How long JAX may take to tell its devices: it makes a context on each GPU."""

_JAX_DEVICES = """
import json, jax
print(json.dumps([d.device_kind for d in jax.local_devices() if d.platform == "gpu"]))
"""

PLUGIN = re.compile(r"jax[-_]cuda\d+[-_]plugin")


def device_files(folder: Path = Path("/dev")) -> list[str]:
    """Return the names of the device files of GPUs."""
    return sorted(path.name for path in folder.glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name))


def gpus_of_jax(seconds: float = JAX_SECONDS) -> tuple[list[str], str]:
    """Return the kinds of the GPUs that JAX sees, asked in a process that ends again, and why there are none."""
    try:
        answer = run_command([sys.executable, "-c", _JAX_DEVICES], seconds, gpu_environment())
        return json.loads(answer.splitlines()[-1]), ""
    except EngineError as error:
        return [], last_line(error.said or str(error)) or "JAX ended without a word"
    except (ValueError, IndexError) as error:
        return [], str(error)


def gpu_names(listing: GpuListing, files: Sequence[str], environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the GPUs of this process, each as CUDA_VISIBLE_DEVICES names it.

    Args:
        listing: what the driver tells.
        files: device files, which are counted where the driver tells nothing.
        environment: with CUDA_VISIBLE_DEVICES, or without.

    Raises:
        EngineError: CUDA_VISIBLE_DEVICES names no GPUs.
    """
    if environment.get(VISIBLE) is not None:
        return visible_gpus(environment)
    if listing.gpus:
        return [name for gpu in listing.gpus for name in (gpu.mig_devices if gpu.mig else (gpu.uuid,))]
    return [str(number) for number in range(len(files))]


def check_gpus(listing: GpuListing, files: Sequence[str], seen: Sequence[str], why_unseen: str = "") -> CheckFinding:
    """Say which GPUs there are, and what keeps campaigns from using them.

    Args:
        listing: what the driver tells.
        files: device files.
        seen: kinds of the GPUs that JAX sees.
        why_unseen: what JAX said where it sees none.
    """
    count = max(len(listing.gpus), len(files), len(seen))
    facts = {
        "devices": list(files),
        "seen_by_jax": len(seen),
        "driver": listing.to_json(),
        "nvrtc": _nvrtc(),
        "jax_plugins": jax_plugins(),
        "jaxlib": importlib.metadata.version("jaxlib"),
    }
    if not count:
        return CheckFinding("ok", "none (no /dev/nvidia0)", facts=facts)
    faults = [
        *_faults_of_driver(listing),
        *_faults_of_jax(count, seen, why_unseen),
        *_faults_of_compiler(facts["nvrtc"]),
    ]
    text = "; ".join([f"{count}{_cards(listing.gpus, seen)}", *(text for _, text, _ in faults)])
    level: Level = "ok"
    if faults:
        level = "problem" if any(level == "problem" for level, _, _ in faults) else "note"
    mend = "; ".join(dict.fromkeys(mend for _, _, mend in faults if mend))
    return CheckFinding(level, text, mend, facts)


def check_gradients(names: Sequence[str], compare: Callable[[str], GradientCheck] = check_apart) -> CheckFinding:
    """Compare a small gradient on each GPU with the cpu backend's.

    Args:
        names: of GPUs, as CUDA_VISIBLE_DEVICES has them.
        compare: makes one comparison.
    """
    if not names:
        return CheckFinding("note", "no GPU is visible to compare", f"unset {VISIBLE}", {"gpus": {}})
    found = {name: compare(name) for name in names}
    facts = {"gpus": {name: asdict(check) for name, check in found.items()}}
    faults = {name: check.fault for name, check in found.items() if check.fault}
    if not faults:
        what = Counter(
            f"{check.device}, driver {check.driver or 'unknown'}, {check.compiler}" for check in found.values()
        )
        cards = "; ".join(f"{count} x {kind}" for kind, count in what.items())
        return CheckFinding("ok", f"the cpu backend's bits on {cards}", facts=facts)
    text = "; ".join(f"GPU {name}: {fault}" for name, fault in faults.items())
    others = ",".join(name for name in names if name not in faults)
    wrong = any(check.compared for name, check in found.items() if name in faults)
    mend = "report it with this line: campaigns on it would give other products" if wrong else "nvidia-smi -q"
    if others:
        mend = f"export CUDA_VISIBLE_DEVICES={others}; {mend}"
    return CheckFinding("problem", text, mend, facts)


def jax_plugins() -> dict[str, str]:
    """Return the versions of JAX's plugins for CUDA that are installed, by name."""
    found = {}
    for distribution in importlib.metadata.distributions():
        name = str(distribution.metadata["Name"] or "").lower()
        if PLUGIN.fullmatch(name):
            found[name] = distribution.version
    return found


def _cards(gpus: Sequence[Gpu], seen: Sequence[str]) -> str:
    """Return the cards in words: how many of each, and what is alike of all."""
    if not gpus:
        return f": {', '.join(f'{kind} x {count}' for kind, count in Counter(seen).items())}" if seen else ""
    kinds = Counter(
        ", ".join(
            part
            for part in (
                gpu.name,
                "" if gpu.memory_total is None else f"{gpu.memory_total / 2**30:.0f} GiB",
                gpu.architecture or "",
                "" if gpu.ecc is None else f"ECC {'on' if gpu.ecc else 'off'}",
                f"MIG with {len(gpu.mig_devices)} devices" if gpu.mig else "",
                "" if gpu.compute_mode in (None, "default") else f"compute mode {gpu.compute_mode}",
            )
            if part
        )
        for gpu in gpus
    )
    cards = "; ".join(f"{count} x {kind}" for kind, count in kinds.items())
    return f": {cards}; driver {gpus[0].driver or 'unknown'} for CUDA {gpus[0].cuda or 'unknown'}"


def _faults_of_driver(listing: GpuListing) -> list[tuple[Level, str, str]]:
    """Return what the driver tells that campaigns will stumble over: level, text, mend."""
    faults: list[tuple[Level, str, str]] = []
    if listing.missing == NO_LIBRARY:
        faults.append(("note", f"{NO_LIBRARY}: memory, ECC and MIG are unknown", "pip install nvidia-ml-py"))
    elif listing.missing:
        faults.append(("problem", listing.missing, "nvidia-smi"))
    for gpu in listing.gpus:
        name = f"GPU {gpu.index}"
        if gpu.uncorrected_errors:
            text = f"{name}: {gpu.uncorrected_errors} uncorrected memory errors since the driver was loaded"
            others = ",".join(other.uuid for other in listing.gpus if not other.uncorrected_errors)
            leave = f"export CUDA_VISIBLE_DEVICES={others} to leave it out, and " if others else ""
            faults.append(("problem", text, f"{leave}ask the administrator to reset or replace it"))
        if gpu.mig and not gpu.mig_devices:
            text = f"{name}: MIG mode is on and no MIG device is configured"
            faults.append(("problem", text, "ask the administrator for nvidia-smi mig -cgi ... -C, or -mig 0"))
        if gpu.compute_mode == "prohibited":
            faults.append(("problem", f"{name}: its compute mode is prohibited", "nvidia-smi -c DEFAULT, as root"))
        if gpu.compute_mode in ("exclusive process", "exclusive thread") and gpu.processes:
            who = ", ".join(map(str, gpu.processes))
            text = f"{name}: compute mode {gpu.compute_mode}, and process {who} has it: no other can compute on it"
            faults.append(("note", text, f"end process {gpu.processes[0]}, or leave {name} out"))
    return faults


def _faults_of_jax(count: int, seen: Sequence[str], why_unseen: str) -> list[tuple[Level, str, str]]:
    """Return why JAX does not see all GPUs: level, text, mend."""
    plugins, jaxlib = jax_plugins(), importlib.metadata.version("jaxlib")
    if len(seen) < count:
        hidden = os.environ.get(VISIBLE)
        text = f"JAX sees {len(seen)} of them"
        if hidden is not None:
            return [("note", f"{text}: {VISIBLE}={hidden}", f"unset {VISIBLE}")]
        if not plugins:
            text = f"{text}, its plugin for CUDA is not installed: campaigns run on processors"
            return [("note", text, f'pip install "phloem[gpu]" "jax=={importlib.metadata.version("jax")}"')]
        other = next((name for name, version in plugins.items() if version != jaxlib), None)
        if other is None:
            return [("problem", f"{text}{f': {why_unseen}' if why_unseen else ''}", "nvidia-smi")]
    wrong = [f"{name} {version}" for name, version in plugins.items() if version != jaxlib]
    if wrong:
        text = f"{', '.join(wrong)} is not of jaxlib {jaxlib}"
        mend = " ".join(f'"{name}=={jaxlib}"' for name in plugins)
        return [("problem", text, f"pip install {mend}")]
    return []


def _faults_of_compiler(nvrtc: object) -> list[tuple[Level, str, str]]:
    if nvrtc is not None:
        return []
    from phloem.kernels.time_loop.cuda.nvrtc import INSTALL

    return [("note", "NVRTC, which compiles the kernels of backend gpu, is not installed", INSTALL)]


def _nvrtc() -> str | None:
    """Return the version and place of NVRTC; None where there is none."""
    from phloem.kernels.time_loop.cuda.nvrtc import find_nvrtc

    found = find_nvrtc()
    return None if found is None else f"{found.version} at {found.path}"
