"""Patches of an epoch dealt out to steps, and those of a step to rounds, processes and devices.

A device works on one patch at a time. Patch number n of a step is worked on in round n // devices, by device
n % devices, the devices of all processes counted one process after the other. So the patches of a step that is not
full are shared out too, and read round by round and device by device they stand in their order, however many devices
there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from phloem.arithmetic import ceil_div

NO_PATCH = -1
"""Stands where a device has no patch in a round."""


@dataclass(frozen=True)
class PatchBatches:
    """How the patches of an epoch are dealt out.

    Attributes:
        patches_per_step: patches of a step; the last step of an epoch may have fewer.
        processes: that take part.
        devices: of each process.
    """

    patches_per_step: int
    processes: int = 1
    devices: int = 1

    def __post_init__(self) -> None:
        if min(self.patches_per_step, self.processes, self.devices) < 1:
            raise ValueError(
                f"{self.patches_per_step} patches a step on {self.processes} processes of {self.devices} devices: "
                "each from 1 on"
            )

    @property
    def rounds(self) -> int:
        """How many patches a device works on in a step, one after the other."""
        return ceil_div(self.patches_per_step, self.processes * self.devices)

    def count(self, patches: int) -> int:
        """Return the steps of an epoch of so many patches."""
        return ceil_div(patches, self.patches_per_step)

    def steps(self, order: np.ndarray) -> Iterator[StepPatches]:
        """Deal out the patches of an epoch.

        Args:
            order: numbers of the patches, each once, in the order of the epoch, (patches,).

        Returns:
            The steps, one after the other.

        Raises:
            ValueError: numbers that are not whole and from 0 on, or a patch twice.
        """
        numbers = np.asarray(order)
        is_list = numbers.ndim == 1 and (numbers.dtype.kind in "iu" or not numbers.size)
        if not is_list or (numbers < 0).any() or len(np.unique(numbers)) < len(numbers):
            raise ValueError("the order of an epoch: numbers of patches, whole and from 0 on, each once")
        size = self.patches_per_step
        firsts = range(0, len(numbers), size)
        return (StepPatches(tuple(map(int, numbers[first : first + size])), self) for first in firsts)


@dataclass(frozen=True)
class StepPatches:
    """The patches of one step.

    Attributes:
        patches: in the order in which their slopes are added, from 1 to as many as a step has.
        batches: how they are dealt out.
    """

    patches: tuple[int, ...]
    batches: PatchBatches

    def __post_init__(self) -> None:
        if not 0 < len(self.patches) <= self.batches.patches_per_step:
            raise ValueError(f"{len(self.patches)} patches in a step of {self.batches.patches_per_step}")

    @property
    def table(self) -> np.ndarray:
        """Patch of each device in each round, NO_PATCH where it has none, int (rounds, processes, devices)."""
        shape = self.batches.rounds, self.batches.processes, self.batches.devices
        found = np.full(int(np.prod(shape)), NO_PATCH)
        found[: len(self.patches)] = self.patches
        return found.reshape(shape)

    def of_process(self, rank: int) -> np.ndarray:
        """Return the patches of a process's devices, NO_PATCH where one has none, int (rounds, devices)."""
        found: np.ndarray = self.table[:, rank]
        return found
