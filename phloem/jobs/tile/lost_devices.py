"""Errors of a device that is lost, told as such and with its name, so that the engine gives it no more work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from phloem.endings import Ending
from phloem.errors import DeviceLost
from phloem.hpc.tasks import device_here
from phloem.jobs.tile.failures import classify


@contextmanager
def lost_devices_named() -> Iterator[None]:
    """Raise what tells of a lost device as `DeviceLost`, with the names of device and machine.

    Raises:
        DeviceLost: the device of this process is lost.
    """
    try:
        yield
    except DeviceLost:
        raise
    except Exception as error:
        if classify(error) != Ending.DEVICE_LOST:
            raise
        raise DeviceLost(f"{device_here()}: {error}") from error
