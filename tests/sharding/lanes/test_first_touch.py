"""The first touch of a worker's devices where they answer, do not, or never do."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from phloem.errors import DeviceLost
from phloem.sharding.lanes import first_touch
from phloem.sharding.lanes.first_touch import touch_devices

TOUCH = "from phloem.sharding.lanes.first_touch import touch_devices; touch_devices('GPU 0 of n1')"


def touched(program: str = TOUCH, **environment: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", program]
    return subprocess.run(words, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60)


def test_devices_that_answer_are_touched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    touch_devices.cache_clear()
    asked: list[None] = []
    real = first_touch._add_on_all
    monkeypatch.setattr(first_touch, "_add_on_all", lambda: (asked.append(None), real())[1])
    for _ in range(3):
        touch_devices("this processor")
    assert len(asked) == 1


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="this machine has a GPU")
def test_jax_that_finds_no_gpu_is_a_lost_device_with_a_message() -> None:
    """JAX itself raises an AssertionError without a word."""
    done = touched(JAX_PLATFORMS="cuda", CUDA_VISIBLE_DEVICES="0")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("phloem.errors.DeviceLost: GPU 0 of n1 does not answer: AssertionError: "), done.stderr
    assert len(last.partition("AssertionError: ")[2]) > 5


def test_what_jax_logs_is_the_reason_where_its_error_says_none(tmp_path: Path) -> None:
    """A plugin for CUDA whose driver is not there, as JAX's own is on a node without one."""
    plugin = tmp_path / "jax_plugins" / "broken"
    plugin.mkdir(parents=True)
    (plugin / "__init__.py").write_text("def initialize():\n    raise RuntimeError('Unable to load CUDA.')\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", ""), os.getcwd()])
    done = touched(JAX_PLATFORMS="cuda", PYTHONPATH=path)
    assert "DeviceLost: GPU 0 of n1 does not answer: AssertionError: Unable to load CUDA." in done.stderr


def test_a_driver_that_never_answers_is_given_up_in_time(tmp_path: Path) -> None:
    """A library that sleeps in its first call, in place of a driver that waits for a GPU."""
    source, library = tmp_path / "asleep.c", tmp_path / "libasleep.so"
    source.write_text("#include <unistd.h>\nint cuInit(unsigned flags) { for (;;) sleep(60); return (int)flags; }\n")
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", source, "-o", library], check=True)
    begun = time.monotonic()
    done = touched(TOUCH.replace("')", "', 1.0)"), PHLOEM_CUDA_DRIVER=str(library))
    assert "DeviceLost: GPU 0 of n1 did not answer within 1 s" in done.stderr
    assert time.monotonic() - begun < 40


def test_devices_that_never_answer_are_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    touch_devices.cache_clear()
    over = threading.Event()
    monkeypatch.setattr(first_touch, "_add_on_all", lambda: over.wait(30))
    begun = time.monotonic()
    with pytest.raises(DeviceLost, match=r"GPU 3 of n1 did not answer within 0.5 s"):
        touch_devices("GPU 3 of n1", 0.5)
    assert time.monotonic() - begun < 10
    over.set()
