"""Steps of training on several patches at once: each device works on patches of its own, and all add up their slopes.

A step is three programs. The first is the slope of one patch, the last Adam's move; they are those of one device, and
each device runs them by itself on its own copy of the networks. (One program over all devices rounds otherwise than
that of one.) Between them slopes are gathered on every device and added in the order of the patches: a few thousand
numbers a network, so that copying all of them costs no more than a reduction, whose order would be that of the
devices. So weights have the same bits on any number of devices and processes.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from phloem.errors import WorkError
from phloem.kernels.network.parameter_network import count
from phloem.kernels.network.training_loss import Patch
from phloem.kernels.network.training_step import ALL_COLUMNS, Trainer, Training
from phloem.sharding.lanes.device_rounds import global_arrays
from phloem.sharding.processes.mesh import AXES, broken_connections, gather, rank
from phloem.sharding.training.patch_batches import NO_PATCH, PatchBatches, StepPatches

BY_DEVICE: Any = P(AXES)
REPLICATED: Any = P()

Networks = tuple[Training, ...]
"""Networks on each device of this process, all alike."""


@dataclass(frozen=True, eq=False)
class PlacedPatches:
    """The patches of a step on the devices of this process.

    Attributes:
        step: which they are.
        rounds: of each round the patch of each device, None where it has none.
    """

    step: StepPatches
    rounds: tuple[tuple[Patch | None, ...], ...]


class DataParallel:
    """Training with several patches a step, over the devices of a mesh.

    All processes of the mesh call `to_devices`, `redraw`, `step` and `losses` in the same order.

    Attributes:
        trainer: of the networks.
        mesh: from `process_mesh` or `local_mesh`.
        batches: how patches are dealt out to its devices.
    """

    def __init__(self, trainer: Trainer, mesh: Mesh, patches_per_step: int):
        """Prepare steps of so many patches each, 1 or more."""
        self.trainer = trainer
        self.mesh = mesh
        self.batches = PatchBatches(patches_per_step, mesh.shape["process"], mesh.shape["device"])
        self._devices: list[jax.Device] = list(mesh.local_devices)

    def to_devices(self, state: Training) -> Networks:
        """Copy networks to every device.

        Args:
            state: the same in all processes.

        Raises:
            WorkError: it differs from process to process, or a process was lost.
        """
        host = jax.device_get(state)
        digest = functools.reduce(lambda before, leaf: zlib.crc32(leaf.tobytes(), before), jax.tree.leaves(host), 0)
        digests = gather(self.mesh, np.array(digest, np.uint32))
        if (digests != digests[0]).any():
            other = int(np.flatnonzero(digests != digests[0])[0])
            raise WorkError(f"processes 0 and {other} of this job do not hold the same networks")
        return tuple(jax.device_put(host, device) for device in self._devices)

    def to_host(self, placed: Any) -> Any:
        """Wait for networks or losses, and return them as NumPy arrays.

        Args:
            placed: what `to_devices`, `step` or `losses` returned; of networks, those of the first device.

        Raises:
            WorkError: a process was lost.
        """
        with broken_connections():
            return jax.device_get(placed[0] if isinstance(placed, tuple) else placed)

    def redraw(self, networks: Networks, number: int, key: Array) -> Networks:
        """Return the networks with one of them at its first step again, from other weights.

        Raises:
            WorkError: a process was lost.
        """
        host = jax.tree.map(jnp.asarray, self.to_host(networks))
        return self.to_devices(self.trainer.redraw(host, number, key))

    def place(self, step: StepPatches, read: Callable[[int], Patch]) -> PlacedPatches:
        """Copy the patches of this process to its devices; may run ahead of the steps, in a thread too.

        Args:
            step: of `batches`.
            read: gives a patch by its number; asked for those of this process alone. One patch a step leaves nothing
                to share out: each device takes it.

        Raises:
            ValueError: the step was dealt out for other devices.
        """
        if step.batches != self.batches:
            raise ValueError(f"a step of {step.batches} on devices that take {self.batches}")

        def put(number: int, device: jax.Device) -> Patch | None:
            return None if number == NO_PATCH else jax.device_put(read(number), device)

        own = step.of_process(rank(self.mesh)).tolist()
        if self._is_plain:
            own = [list(step.patches) * len(self._devices)]
        return PlacedPatches(step, tuple(tuple(map(put, numbers, self._devices)) for numbers in own))

    def step(self, networks: Networks, placed: PlacedPatches, walking: np.ndarray) -> tuple[Networks, Array]:
        """Take one step along the mean of the slopes of the patches that are there.

        Args:
            networks: on the devices.
            placed: the patches.
            walking: networks that take it, bool (set-ups,); the others stay as they are.

        Returns:
            Where they stand then, and the loss of each on each patch before the step, (patches a step, set-ups), 0 for
            patches that the step does not have. Both may still be under way; `to_host` waits for them.

        Raises:
            WorkError: a process was lost.
        """
        walks = np.asarray(walking, bool)
        if self._is_plain:
            taken = [self.trainer.step(net, patch, walks) for net, patch in zip(networks, *placed.rounds, strict=True)]
            return tuple(after for after, _ in taken), taken[0][1][None]
        with broken_connections():
            found = self._on_devices(
                lambda net, patch: self.trainer.slopes(net, patch), self._nothing, networks, placed
            )
            number = np.array([len(placed.step.patches)], self.trainer.dtype)
            shared = mean_program(self.mesh, self.batches.patches_per_step)(*self._join(found, number))
            losses, means = (_parts(one, self._devices) for one in shared)
            moved = map(self.trainer.move, networks, losses, means, [walks] * len(networks))
            return tuple(moved), losses[0]

    def losses(self, networks: Networks, placed: PlacedPatches) -> Array:
        """Return the loss of each network on each patch, (patches a step, set-ups), 0 for patches that are not there.

        Raises:
            WorkError: a process was lost.
        """
        with broken_connections():
            found = self._on_devices(self.trainer.losses, [losses for losses, _ in self._nothing], networks, placed)
            if self._is_plain:
                return found[0][0][None]
            shared = losses_program(self.mesh, self.batches.patches_per_step)(*self._join(found))
            return _parts(shared, self._devices)[0]

    @property
    def _is_plain(self) -> bool:
        """Whether a step is that of the trainer, with its bits."""
        return self.batches.patches_per_step == 1

    def _on_devices(
        self, work: Callable[[Training, Patch], Any], nothing: list[Any], networks: Networks, placed: PlacedPatches
    ) -> list[list[Any]]:
        """Start the work of every round on every device.

        Args:
            work: on a patch.
            nothing: what stands for it without a patch, by device.
            networks: on the devices.
            placed: the patches.

        Returns:
            What is found, by device and round.
        """
        found: list[list[Any]] = [[] for _ in self._devices]
        for patches in placed.rounds:
            for place, patch in enumerate(patches):
                found[place].append(nothing[place] if patch is None else work(networks[place], patch))
        return found

    @functools.cached_property
    def _nothing(self) -> list[tuple[Array, Array]]:
        """Losses and slopes of a device without a patch."""
        set_ups, dtype = len(self.trainer.set_ups), self.trainer.dtype
        zeros = np.zeros(set_ups, dtype), np.zeros((set_ups, count(len(ALL_COLUMNS) - 1)), dtype)
        return [jax.device_put(zeros, device) for device in self._devices]

    def _join(self, found: list[list[Any]], *same: np.ndarray) -> Any:
        """Join what devices found to arrays over all of them, (devices * set-ups, ...), one a round and part of it.

        Args:
            found: by device and round.
            same: further arrays, one each a device.
        """
        return global_arrays(self.mesh, BY_DEVICE, [(tuple(rounds), *same) for rounds in found])


def _parts(shared: Array, devices: list[jax.Device]) -> list[Array]:
    """Return each device's copy of an array that all have."""
    copies = {shard.device: shard.data for shard in shared.addressable_shards}
    return [copies[device] for device in devices]


def _in_order(rounds: Sequence[Array], places: int) -> Array:
    """Gather an array of each round from all devices, in the order of the patches, (places, ...)."""
    gathered: Array = lax.all_gather(jnp.stack(rounds), AXES, axis=1)
    return gathered.reshape(-1, *gathered.shape[2:])[:places]


@functools.cache
def mean_program(mesh: Mesh, places: int) -> Callable[..., Any]:
    """Return the program (rounds, patches that are there) -> losses and mean of slopes, both on every device.

    Args:
        mesh: the devices.
        places: patches of a full step.

    Returns:
        Takes of each round losses (devices * set-ups,) and slopes (devices * set-ups, weights), and the number of
        patches once a device, (devices,); gives losses (places, set-ups) and the mean (set-ups, weights).
    """

    def shard(rounds: tuple[tuple[Array, Array], ...], number: Array) -> tuple[Array, Array]:
        # One array: a collective costs more by being one than by its few thousand numbers.
        both = _in_order([jnp.concatenate([values[:, None], slopes], 1) for values, slopes in rounds], places)
        slopes = both[:, :, 1:]
        total, _ = lax.scan(lambda total, one: (total + one, None), jnp.zeros_like(slopes[0]), slopes)
        return both[:, :, 0], total / number

    return jax.jit(jax.shard_map(shard, mesh=mesh, in_specs=BY_DEVICE, out_specs=REPLICATED, check_vma=False))


@functools.cache
def losses_program(mesh: Mesh, places: int) -> Callable[..., Any]:
    """Return the program (rounds) -> losses on every device, (places, set-ups); as `mean_program`, without slopes."""

    def shard(rounds: tuple[Array, ...]) -> Array:
        return _in_order(rounds, places)

    return jax.jit(jax.shard_map(shard, mesh=mesh, in_specs=BY_DEVICE, out_specs=REPLICATED, check_vma=False))
