"""The script for a machine with a GPU, on a stand-in for the driver: every step of it, and the table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_script_is_shell_that_parses() -> None:
    subprocess.run(["bash", "-n", str(ROOT / "benchmarks/gpu/run.sh")], check=True)


@pytest.mark.soak
def test_every_step_is_taken_and_kept(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHON": sys.executable}
    command = ["bash", str(ROOT / "benchmarks/gpu/run.sh"), "--stand-in", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=590)
    assert done.stdout.splitlines()[-1].endswith("gpu.json; 0 steps failed"), done.stdout
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert {"who", "bits", "times", "faults"} <= set(found)
    assert [found["bits"][name]["fault"] for name in ("float32", "float64")] == ["", ""]
    assert found["bits"]["xla"]["gradient"] < 1e-3
    assert max(found["bits"]["norm_of_error_against_float64"].values()) < 1e-4
    assert [row["lanes"] for row in found["times"]["rows"]] == [256, 512]
    assert all(row["gradient_us"] > 0 for row in found["times"]["rows"])
    assert "CUDA_ERROR_ILLEGAL_ADDRESS" in found["faults"]["texts"]["launches end with 700"]["said"]
    assert "| 256 |" in done.stdout
    assert "computed on: stand-in" in (tmp_path / "campaign.log").read_text()
