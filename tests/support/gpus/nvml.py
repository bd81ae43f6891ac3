"""The stand-in for NVML: a library that processes load in place of the driver's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("nvml_stand_in.c")


def build_nvml(folder: Path) -> Path:
    """Compile the stand-in into a folder, which LD_LIBRARY_PATH can name; return the folder."""
    library = folder / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-O1", "-w", "-shared", "-fPIC", "-o", str(library), str(SOURCE)], check=True)
    return folder


def use_nvml(folder: Path, monkeypatch: pytest.MonkeyPatch, **answers: int) -> None:
    """Let the processes started from here on load the stand-in.

    Args:
        folder: where it is.
        monkeypatch: takes it back.
        answers: `gpus=2` sets NVML_GPUS, and so on.
    """
    monkeypatch.setenv("LD_LIBRARY_PATH", os.pathsep.join([str(folder), os.environ.get("LD_LIBRARY_PATH", "")]))
    for name, value in answers.items():
        monkeypatch.setenv(f"NVML_{name.upper()}", str(value))
