"""The trainings of one tile: networks of a run side by side, patch after patch, resumable between any two steps.

No bit of a network depends on which others go beside it, on how the steps are cut, or on how often it was interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from phloem.arithmetic import ceil_div
from phloem.io.patches.predictor_moments import COLUMNS
from phloem.io.published.published_patches import published_order
from phloem.jobs.campaign.kind_of_work import Arrays, Lane
from phloem.jobs.network.patch_source import PatchSource
from phloem.jobs.network.table import JOIN, NetworkTable
from phloem.jobs.network.training_units import TrainingInput, steps_of_epoch
from phloem.kernels.network.parameter_network import count as flat_size
from phloem.kernels.network.parameter_network import flat
from phloem.kernels.network.set_ups import CONTROLS, GROUPS
from phloem.kernels.network.training_step import Network, Trainer, Training
from phloem.names import STATUS
from phloem.sharding.lanes.devices import local_devices
from phloem.sharding.processes.mesh import local_mesh
from phloem.sharding.training.data_parallel import DataParallel, Networks, PlacedPatches
from phloem.sharding.training.patch_batches import StepPatches

MAX_REDRAWS = 5
"""New weights that a network may be begun with after its first."""

MAX_EARLIER_REDRAWS = 127 - MAX_REDRAWS
"""Redraws that a network which is taken up again may have used before: a tile file counts them in a byte."""

RUNNING, ENDED, DIVERGED = 0, 1, 2


class Progress(NamedTuple):
    """Where each network stands beside its weights, networks first.

    Attributes:
        step: steps taken since it was last begun.
        redraws: times it was begun anew.
        phase: RUNNING, ENDED or DIVERGED.
        loss_sum: of the steps of this epoch.
        losses: of the epochs, (networks, epochs), NaN of those to come.
        dev: losses of the dev patches, (networks, looks).
        best_dev: the least of them, inf before the first look.
        best: weights at that look, laid flat, (networks, weights); none where the last are kept.
    """

    step: np.ndarray
    redraws: np.ndarray
    phase: np.ndarray
    loss_sum: np.ndarray
    losses: np.ndarray
    dev: np.ndarray
    best_dev: np.ndarray
    best: np.ndarray


class Crew(NamedTuple):
    """Networks of one run that stand at the same step and go on side by side.

    Attributes:
        lanes: their numbers.
        parallel: takes their steps.
        source: of their patches.
        networks: where they stand, on each device.
    """

    lanes: tuple[int, ...]
    parallel: DataParallel
    source: PatchSource
    networks: Networks


def first_key(seed: int, set_up: str, run: int, redraws: int) -> jax.Array:
    """Return the key of a network's first weights: of the seed, its set-up, its run and the redraws before."""
    names = (*GROUPS, *CONTROLS)
    number = sum(1 << names.index(group) for group in set_up.split(JOIN))
    key = jax.random.key(seed)
    for part in (run, number, redraws):
        key = jax.random.fold_in(key, part)
    return key


def epoch_order(table: NetworkTable, seed: int, run: int, epoch: int, patches: Sequence[int]) -> list[int]:
    """Return the order in which a run goes through its training patches, the same for all its set-ups.

    Args:
        table: `order` is read: where it is fixed, all epochs have that of the first.
        seed: of the campaign.
        run: number of the run.
        epoch: number of the epoch, from 0 on.
        patches: positions of the training patches.
    """
    rng = np.random.default_rng([seed, run, epoch if table.order == "shuffled" else 0])
    return [patches[place] for place in rng.permutation(len(patches)).tolist()]


def looks(table: NetworkTable) -> list[int]:
    """Return the epochs, counted from 1, after which the dev patches are looked at: every tenth or so, and the last."""
    return sorted({*range(table.dev_every, table.epochs + 1, table.dev_every), table.epochs})


class TileTraining:
    """The networks of a tile under way.

    Attributes:
        in_flight: networks side by side, at most.
    """

    def __init__(
        self,
        table: NetworkTable,
        seed: int,
        units: Sequence[TrainingInput],
        lanes: Sequence[Lane] | None = None,
        devices: int = 1,
        platform: str = "cpu",
    ) -> None:
        """Draw the networks.

        Args:
            table: of the training.
            seed: of the campaign.
            units: of the tile.
            lanes: those to train, units by their position; None: all, from their first draw.
            devices: of this process, over which the patches of a step are laid.
            platform: of the devices, as JAX names it.

        Raises:
            ValueError: lanes that the tile does not have, or twice, or redrawn too often.
        """
        taken = [Lane(unit, 0, 0) for unit in range(len(units))] if lanes is None else [Lane(*lane) for lane in lanes]
        _check(taken, len(units))
        self.table, self.seed, self._all = table, seed, list(units)
        self._units = [units[lane.unit] for lane in taken]
        self._places = [lane.unit for lane in taken]
        self._before = np.array([lane.redraws for lane in taken])
        self._dtype = np.dtype(table.precision)
        self._mesh = local_mesh(local_devices(devices, platform))
        self._looks = looks(table)
        self.in_flight = len(taken)
        count = len(taken)
        self._progress = Progress(
            step=np.zeros(count, np.int64),
            redraws=np.array([lane.redraws for lane in taken], np.int64),
            phase=np.full(count, RUNNING),
            loss_sum=np.zeros(count),
            losses=np.full((count, table.epochs), np.nan),
            dev=np.full((count, len(self._looks)), np.nan),
            best_dev=np.full(count, np.inf),
            best=np.zeros((count, flat_size(len(COLUMNS) - 1) if table.choose == "best-dev" else 0), self._dtype),
        )
        self._state: list[Network] = self._first(range(count))
        self._sources: dict[int, PatchSource] = {}
        self._crew: Crew | None = None

    def _first(self, lanes: Sequence[int]) -> list[Network]:
        """Return networks at their first step, on the host."""
        trainer = self._trainer(lanes)
        keys = [
            first_key(self.seed, self._units[n].set_up, self._units[n].run, int(self._progress.redraws[n]))
            for n in lanes
        ]
        return [jax.device_get(network) for network in trainer.first(keys)]

    def _trainer(self, lanes: Sequence[int]) -> Trainer:
        units = [self._units[n] for n in lanes]
        return Trainer(
            loss=self.table.loss(),
            set_ups=tuple(tuple(unit.set_up.split(JOIN)) for unit in units),
            learning_rate=self.table.rate,
            schedule=self.table.schedule,
            total_steps=self.table.epochs * self._steps_an_epoch(units[0]),
            precision=self.table.precision,
            weight_decay=self.table.weight_decay,
        )

    def _steps_an_epoch(self, unit: TrainingInput) -> int:
        return steps_of_epoch(self.table, unit.split)

    def _steps(self, lane: int) -> int:
        return self.table.epochs * self._steps_an_epoch(self._units[lane])

    @property
    def running(self) -> bool:
        """Whether any network still has steps to take."""
        return bool((self._progress.phase == RUNNING).any())

    @property
    def stage(self) -> int:
        """How many networks go side by side: a step takes as many times as long."""
        return len(self._crew.lanes) if self._crew else 0

    @property
    def steps_taken(self) -> int:
        """Steps of all networks since their last start; one that was given up counts as finished."""
        done = [
            self._steps(n) if phase == DIVERGED else int(step)
            for n, (step, phase) in enumerate(zip(self._progress.step, self._progress.phase, strict=True))
        ]
        return sum(done)

    @property
    def total_steps(self) -> int:
        """Steps of all networks when all is done."""
        return sum(self._steps(n) for n in range(len(self._units)))

    def advance(self, steps: int) -> int:
        """Take up to so many steps in the networks that go side by side; at most to the end of their epoch.

        Returns:
            The steps taken.
        """
        lanes, parallel, source, networks = self._crew = self.crew()
        first, here = self._units[lanes[0]], np.array(lanes)
        per_epoch, step = self._steps_an_epoch(first), int(self._progress.step[lanes[0]])
        epoch, inside = divmod(step, per_epoch)
        taken = min(steps, per_epoch - inside)
        order = self._order(first, epoch)
        walking, losses = np.ones(len(lanes), bool), []
        dealt = list(parallel.batches.steps(np.array(order)))[inside : inside + taken]
        for placed in source.ahead(dealt, partial(_placed, parallel, source)):
            networks, values = parallel.step(networks, placed, walking)
            losses.append(values)
        for values in losses:
            self._progress.loss_sum[here] += np.asarray(parallel.to_host(values), float).sum(0)
        self._progress.step[here] += taken
        self._crew = self._crew._replace(networks=networks)
        if inside + taken == per_epoch:
            self._end_epoch(epoch)
        return taken

    def _order(self, unit: TrainingInput, epoch: int) -> list[int]:
        """Return the training patches of an epoch in their order, which a published split brings along."""
        if self.table.order == "fixed" and self.table.split == "published":
            return published_order(unit.store, unit.run + 1, watching=self.table.train_on == "train+dev")
        return epoch_order(self.table, self.seed, unit.run, epoch, unit.split.train)

    def crew(self) -> Crew:
        """Return the networks that go side by side next."""
        return self._next_crew() if self._crew is None else self._crew

    def _next_crew(self) -> Crew:
        """Put those side by side that stand at the same step of the same run: the most, and of these the furthest."""
        together: dict[tuple[int, int], list[int]] = {}
        for lane in np.flatnonzero(self._progress.phase == RUNNING).tolist():
            together.setdefault((self._units[lane].run, int(self._progress.step[lane])), []).append(lane)
        (run, _), lanes = max(together.items(), key=lambda one: (len(one[1]), one[0][1], -one[0][0]))
        lanes = lanes[: self.in_flight]
        parallel = DataParallel(self._trainer(lanes), self._mesh, self.table.patches_per_step)
        networks = parallel.to_devices(tuple(self._state[lane] for lane in lanes))
        return Crew(tuple(lanes), parallel, self._source(run, self._units[lanes[0]]), networks)

    def _source(self, run: int, unit: TrainingInput) -> PatchSource:
        if run not in self._sources:
            self._sources = {
                run: PatchSource(
                    unit.store, unit.statistics,
                    mode=self.table.mode, dtype=self._dtype, leave_out=self.table.leave_out,
                )
            }  # fmt: skip
        return self._sources[run]

    def _end_epoch(self, epoch: int) -> None:
        """Keep the losses of an epoch that is over, look at the dev patches if it is time, and see who goes on."""
        assert self._crew is not None
        lanes, parallel, source, networks = self._crew
        here, state = np.array(lanes), parallel.to_host(networks)
        self._progress.losses[here, epoch] = self._progress.loss_sum[here]
        self._progress.loss_sum[here] = 0.0
        finite = np.array([bool(one.finite) for one in state]) & np.isfinite(self._progress.losses[here, epoch])
        dev = self._units[lanes[0]].split.dev
        if epoch + 1 in self._looks and dev:
            steps = list(parallel.batches.steps(np.array(dev)))
            placed = source.ahead(steps, partial(_placed, parallel, source))
            found = [np.asarray(parallel.to_host(parallel.losses(networks, one)), float).sum(0) for one in placed]
            self._keep_best(here, self._looks.index(epoch + 1), np.sum(found, axis=0), state)
        last = epoch + 1 == self.table.epochs
        if last and self._progress.best.size:  # no look was a number: there are no weights of a best one
            finite &= np.isfinite(self._progress.best_dev[here])
        if finite.all() and not last:
            return
        self._from_device()
        if last:
            self._progress.phase[here[finite]] = ENDED
        for lane in here[~finite].tolist():
            self._begin_anew(lane)

    def _keep_best(self, here: np.ndarray, look: int, losses: np.ndarray, state: Training) -> None:
        """Keep the losses of a look at the dev patches, and the weights where they are the least so far."""
        self._progress.dev[here, look] = losses
        for lane, loss, network in zip(here.tolist(), losses.tolist(), state, strict=True):
            if loss < self._progress.best_dev[lane]:
                self._progress.best_dev[lane] = loss
                if self._progress.best.size:
                    self._progress.best[lane] = np.asarray(flat(network.weights))

    def _begin_anew(self, lane: int) -> None:
        """Begin a network with other weights whose loss or slope was not finite, or give it up."""
        if self._progress.redraws[lane] - self._before[lane] >= MAX_REDRAWS:
            self._progress.phase[lane] = DIVERGED
            return
        self._progress.redraws[lane] += 1
        self._progress.step[lane] = 0
        self._progress.losses[lane] = np.nan
        self._progress.dev[lane] = np.nan
        self._progress.best_dev[lane] = np.inf
        (self._state[lane],) = self._first([lane])

    def _from_device(self) -> None:
        """Note where the networks on the device stand, and let them go."""
        self._note()
        self._crew = None

    def _note(self) -> None:
        if self._crew is None:
            return
        for lane, network in zip(self._crew.lanes, self._crew.parallel.to_host(self._crew.networks), strict=True):
            self._state[lane] = network

    def halve(self) -> bool:
        """Keep no patches in memory; where none was kept, put half as many networks side by side.

        Returns:
            Whether less memory is needed than before.
        """
        self._from_device()
        if [source for source in self._sources.values() if source.shrink()]:
            return True
        if self.in_flight == 1:
            return False
        self.in_flight = ceil_div(self.in_flight, 2)
        return True

    def saved(self) -> Arrays:
        """Return everything that a checkpoint must hold, networks first."""
        self._note()
        return self._stacked() | {name: values.copy() for name, values in self._progress._asdict().items()}

    def _stacked(self) -> Arrays:
        """The numbers of all networks, networks first."""
        together = jax.tree.map(lambda *leaves: np.stack(leaves), *self._state)
        leaves, _ = jax.tree_util.tree_flatten_with_path(together)
        return {f"network{jax.tree_util.keystr(path)}": leaf for path, leaf in leaves}

    def restore(self, arrays: Arrays) -> None:
        """Go back to a saved state.

        Raises:
            ValueError: the arrays are not those of these networks; nothing has changed then.
        """
        stacked = self._stacked()
        due: Arrays = stacked | self._progress._asdict()
        wrong = sorted(set(due).symmetric_difference(arrays))
        wrong += [n for n in due if n in arrays and (arrays[n].shape, arrays[n].dtype) != (due[n].shape, due[n].dtype)]
        if wrong:
            raise ValueError(f"checkpoint does not fit: {wrong[0]}")
        structure = jax.tree.structure(self._state[0])
        self._state = [
            jax.tree.unflatten(structure, [arrays[name][lane] for name in stacked]) for lane in range(len(self._state))
        ]
        self._progress = Progress(*(arrays[name].copy() for name in Progress._fields))
        self._crew = None

    def arrays(self) -> Arrays:
        """Return the arrays of the tile's file; networks that were not trained are `missing`."""
        self._note()
        count, places = len(self._all), np.array(self._places)
        progress = self._progress
        status = np.full(count, STATUS["missing"], np.int8)
        redrawn = progress.redraws > 0
        good = np.where(redrawn, STATUS["calibrated_after_redraw"], STATUS["calibrated"])
        status[places] = np.where(progress.phase == DIVERGED, STATUS["diverged"], good)
        weights = self._progress.best
        if self.table.choose == "last":
            weights = np.stack([np.asarray(flat(network.weights)) for network in self._state])
        statistics = np.full((2, len(self._all), len(COLUMNS)), np.nan)
        for place, unit in enumerate(self._all):
            for name, pair in unit.statistics.items():
                statistics[:, place, COLUMNS.index(name)] = pair

        def put(values: np.ndarray, missing: Any) -> np.ndarray:
            filled = np.full((count, 1, *values.shape[1:]), missing, values.dtype)
            filled[places, 0] = values
            return filled

        return {
            "cell": np.array([unit.name for unit in self._all]),
            "status": status[:, None],
            "redraws": put(progress.redraws.astype(np.int8), 0),
            "steps": put(progress.step, 0),
            "loss": put(progress.losses[:, -1], np.nan),
            "loss_of_epochs": put(progress.losses, np.nan),
            "dev_loss": put(progress.dev, np.nan),
            "weights": put(weights.astype(self._dtype), np.nan),
            "mean": statistics[0][:, None],
            "deviation": statistics[1][:, None],
        }


def _placed(parallel: DataParallel, source: PatchSource, step: StepPatches) -> PlacedPatches:
    return parallel.place(step, source.read)


def _check(lanes: Sequence[Lane], units: int) -> None:
    """Refuse networks that cannot be trained."""
    if not lanes or len({lane.unit for lane in lanes}) < len(lanes):
        raise ValueError("a training needs networks, and each of them once")
    for unit, member, redraws, *_ in lanes:
        if not 0 <= unit < units or member:
            raise ValueError(f"no network ({unit}, {member}): the tile has {units}, each with one lane")
        if not 0 <= redraws <= MAX_EARLIER_REDRAWS:
            raise ValueError(f"network {unit}: {redraws} redraws before; valid are 0 to {MAX_EARLIER_REDRAWS}")
