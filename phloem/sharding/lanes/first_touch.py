"""The first touch of a worker's devices, within a bounded time: a broken driver may never answer.

JAX finds its devices when it is first asked for them, and the driver makes its contexts then: where a node's GPU is
broken that fails, in as many words as there are layers, in none, or not at all.
"""

from __future__ import annotations

import ctypes
import logging
import os
import queue
import threading
from functools import cache

from phloem.errors import DeviceLost

TOUCH_SECONDS = 180.0
"""How long the devices of a worker may take to answer: eight GPUs without a persistent driver take most of a minute."""


@cache
def touch_devices(name: str, seconds: float = TOUCH_SECONDS) -> None:
    """Have every device of this process add two numbers, once in its life.

    The question is asked in a thread, which is left alone where no answer comes.

    Args:
        name: of the devices, for the message.
        seconds: how long they may take.

    Raises:
        DeviceLost: they did not answer in time, or with an error.
    """
    import jax  # noqa: F401 - reading its files from a slow file system is no fault of the device

    logged = _Reasons(logging.WARNING)
    logging.getLogger("jax").addHandler(logged)
    answers: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    threading.Thread(target=_ask, args=(answers,), daemon=True).start()
    try:
        error = answers.get(timeout=seconds)
    except queue.Empty:
        raise DeviceLost(f"{name} did not answer within {seconds:g} s") from None
    finally:
        logging.getLogger("jax").removeHandler(logged)
    if error is not None:
        reasons = [str(error), *logged.reasons]
        text = "; ".join(" ".join(reason.split()) for reason in reasons if reason) or "no reason given"
        raise DeviceLost(f"{name} does not answer: {type(error).__name__}: {text}") from error


class _Reasons(logging.Handler):
    """What JAX logs while it looks for devices: where a driver is missing it raises an error without a word."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.reasons: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the exception of a record, or its text."""
        error = record.exc_info[1] if record.exc_info else None
        self.reasons.append(str(error or record.getMessage()))


def _ask(answers: queue.SimpleQueue[BaseException | None]) -> None:
    try:
        _add_on_all()
    except BaseException as error:
        answers.put(error)
    else:
        answers.put(None)


def _add_on_all() -> None:
    import jax

    from phloem.kernels.time_loop.cuda.driver import platform

    _start_driver()
    for device in jax.local_devices(backend=platform()):  # JAX's default is processors here
        jax.block_until_ready(jax.device_put(1.0, device) + 1.0)


def _start_driver() -> None:
    """Start the CUDA driver, where there is one, in a call that gives up Python's lock.

    A plugin of JAX that asks the driver first may keep the lock meanwhile, and then nothing in this process could tell
    that time is up. What the driver answers is JAX's to say.
    """
    try:
        ctypes.CDLL(os.environ.get("PHLOEM_CUDA_DRIVER") or "libcuda.so.1").cuInit(0)
    except (OSError, AttributeError):
        return
