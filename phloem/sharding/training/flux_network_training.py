"""Training of many networks of fluxes at once: folds and members as lanes, in blocks, over devices."""

from __future__ import annotations

import functools
import queue
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from phloem.arithmetic import ceil_div
from phloem.errors import InputError, did_you_mean
from phloem.kernels.flux_network.constrained_loss import ConstrainedLoss, FluxBatch
from phloem.kernels.flux_network.flux_network import PenaltyColumns, network_targets
from phloem.kernels.flux_network.flux_network_options import FLUX_NAMES, FluxNetworkOptions
from phloem.kernels.flux_network.flux_predictor import FluxPredictor
from phloem.kernels.flux_network.lane_epoch import FluxLanes, FluxTable, LaneRows, epoch_of_lanes, first_flux_lanes
from phloem.kernels.flux_network.lane_statistics import LaneStatistics, lane_statistics, stack
from phloem.kernels.flux_network.validation_towers import validation_towers


class FluxNetworkTraining:
    """Networks that are trained side by side; can be saved, restored and advanced again to the same bits.

    A lane's numbers depend on the table, its own weights of rows, its key and the options: not on the lanes beside it,
    on devices, nor on what rows of weight 0 hold.

    Attributes:
        options: how they are trained.
        names: of the predictors.
        statistics: of each lane.
        lanes: where they stand.
    """

    def __init__(
        self,
        x: Float[np.ndarray, "rows predictors"],
        names: Sequence[str],
        observed: Float[np.ndarray, "rows 4"],
        baselines: Float[np.ndarray, "rows 4"],
        tower: np.ndarray,
        weight: np.ndarray,
        keys: np.ndarray,
        options: FluxNetworkOptions | None = None,
        devices: Sequence[jax.Device] | None = None,
    ):
        """Prepare lanes at their first epoch.

        Args:
            x: predictors, not finite where missing; float32.
            names: of the predictors, TA (degC) and SWIN (W m-2) among them.
            observed: gpp, reco, nee, le in gC m-2 d-1 and W m-2, not finite where missing.
            baselines: process baselines of the same, not finite where missing; read by the residual head.
            tower: number of each row's tower, 0 or more, (rows,).
            weight: of each row in each lane, 0 where it is left out, (lanes, rows).
            keys: random key of each lane, uint32 (lanes, 2), as of `lane_keys`.
            options: how they are trained.
            devices: on which blocks of lanes are dealt out, such as those of a mesh; one by default.

        Raises:
            InputError: shapes that do not fit, TA or SWIN absent, weights that are no weights, a lane without rows.
        """
        self.options = FluxNetworkOptions() if options is None else options
        self.names = tuple(names)
        x, observed, baselines = (np.asarray(part, np.float32) for part in (x, observed, baselines))
        tower, weight, keys = np.asarray(tower), np.asarray(weight, np.float32), np.asarray(keys, np.uint32)
        _check(x, self.names, observed, baselines, tower, weight, keys)
        columns = PenaltyColumns(self.names.index("TA"), self.names.index("SWIN"))
        self._loss = ConstrainedLoss(self.options, columns)
        self._devices = tuple(jax.local_devices()[:1] if devices is None else devices)
        self._held = validation_towers(weight > 0, tower, keys, self.options.validation_share)
        targets = network_targets(self.options, observed, baselines)
        self.statistics = stack(
            [
                _named(lane, lane_statistics, x, targets, np.where(held[tower], 0, own))
                for lane, (own, held) in enumerate(zip(weight, self._held, strict=True))
            ]
        )
        self.lanes = first_flux_lanes(keys, x.shape[1])
        # One more row, of weight 0 in all lanes: with it the last minibatch is filled.
        self._weight = np.pad(weight, ((0, 0), (0, 1)))
        self._table = FluxTable(
            FluxBatch(*(np.pad(part, ((0, 1), (0, 0)), constant_values=np.nan) for part in (x, observed, baselines))),
            np.pad(tower.astype(np.int32), (0, 1)),
        )

    @property
    def running(self) -> int:
        """Lanes that still train."""
        return int(np.asarray(self.lanes.running).sum())

    def advance(self, epochs: int) -> int:
        """Take up to so many epochs in every running lane.

        Lanes that have stopped leave their places to others. What fails on the way leaves all lanes as they were.

        Returns:
            The epochs that the lane which went farthest took.
        """
        running = np.flatnonzero(self.lanes.running)
        if epochs < 1 or not len(running):
            return 0
        lanes = FluxLanes(*(np.array(part) for part in self.lanes))
        width = self.options.lanes_per_block
        blocks = []
        # Lanes of one epoch see one order of rows.
        for epoch in np.unique(lanes.epoch[running]):
            together = running[lanes.epoch[running] == epoch]
            blocks += [(int(epoch), together[first : first + width]) for first in range(0, len(together), width)]
        free: queue.SimpleQueue[tuple[jax.Device, FluxTable]] = queue.SimpleQueue()
        for device in self._devices[: len(blocks)]:
            free.put((device, jax.device_put(self._table, device)))

        def train(block: tuple[int, np.ndarray]) -> FluxLanes:
            seat = free.get()
            try:
                return self._train(block[1], range(block[0], block[0] + epochs), *seat)
            finally:
                free.put(seat)

        with ThreadPoolExecutor(min(len(self._devices), len(blocks))) as threads:
            for (_, chosen), found in zip(blocks, threads.map(train, blocks), strict=True):
                for part, moved in zip(lanes, found, strict=True):
                    part[chosen] = moved[: len(chosen)]
        taken = int((lanes.epoch - self.lanes.epoch).max())
        self.lanes = lanes
        return taken

    def _train(self, chosen: np.ndarray, epochs: range, device: jax.Device, table: FluxTable) -> FluxLanes:
        """Return some lanes after epochs on a device, the places that they leave in their block behind them."""
        places = np.resize(chosen, self.options.lanes_per_block)
        rows = LaneRows(self.statistics, self._weight, self._held)
        lanes, rows = jax.device_put(jax.tree.map(lambda leaf: leaf[places], (self.lanes, rows)), device)
        for epoch in epochs:
            lanes = epoch_program(self._loss)(lanes, rows, table, jax.device_put(self.order(epoch), device))
            if not np.asarray(lanes.running).any():
                break
        found: FluxLanes = jax.device_get(lanes)
        return found

    def order(self, epoch: int) -> np.ndarray:
        """Return the rows of each minibatch of an epoch, the same for all lanes, int32 (minibatches, rows of one).

        Minibatches are of one size; the row behind the last one fills them up.
        """
        rows = len(self._table.tower) - 1
        size = self.options.batch_rows
        drawn = np.random.default_rng([self.options.seed, epoch]).permutation(rows)
        filled = np.pad(drawn, (0, size * ceil_div(rows, size) - rows), constant_values=rows)
        return filled.astype(np.int32).reshape(-1, size)

    def saved(self) -> dict[str, np.ndarray]:
        """Return everything that a checkpoint must hold beside the arguments of the constructor, lanes first."""
        return {name: np.array(part) for name, part in self.lanes._asdict().items()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go back to what was saved.

        Raises:
            InputError: arrays of other lanes or another network; all stays as it was.
        """
        parts = {}
        for name, own in self.lanes._asdict().items():
            if name not in arrays:
                raise InputError(f"what was saved has no {name}; it has {', '.join(arrays)}")
            given = np.asarray(arrays[name])
            if given.shape != own.shape or given.dtype != own.dtype:
                raise InputError(f"{name}: {given.dtype} {given.shape} was saved, {own.dtype} {own.shape} is due")
            parts[name] = given.copy()
        self.lanes = FluxLanes(**parts)

    def weights(self) -> Float[np.ndarray, "lanes weights"]:
        """Return the best weights of each lane, laid flat; NaN for a lane without a finite epoch."""
        found = np.isfinite(self.lanes.best_loss)[:, None]
        return np.where(found, self.lanes.best, np.float32(np.nan))

    def predictor(self) -> FluxPredictor:
        """Return what applies the lanes' best weights to rows."""
        return FluxPredictor(self.options, self.weights(), self.statistics)

    def predict(
        self, x: Float[np.ndarray, "rows predictors"], baselines: Float[np.ndarray, "rows 4"]
    ) -> Float[np.ndarray, "lanes rows 4"]:
        """Return gpp, reco, nee, le of each lane's best weights, in gC m-2 d-1 and W m-2.

        Args:
            x: predictors in the order of `names`, not finite where missing.
            baselines: as in training.
        """
        return self.predictor().predict(x, baselines)


@functools.cache
def epoch_program(loss: ConstrainedLoss) -> Callable[..., FluxLanes]:
    """Return the program (lanes, rows, table, order) -> lanes: `epoch_of_lanes` of one block on one device.

    Each device has its own call of it: as one program over two devices (`shard_map`), lanes had other last bits.
    """
    return jax.jit(functools.partial(epoch_of_lanes, loss))


def _named(lane: int, function: Callable[..., LaneStatistics], *arguments: Any) -> LaneStatistics:
    """Call a function for a lane; what it refuses names the lane."""
    try:
        return function(*arguments)
    except InputError as error:
        raise InputError(f"lane {lane}: {error}, validation towers left out") from error


def _check(
    x: np.ndarray,
    names: tuple[str, ...],
    observed: np.ndarray,
    baselines: np.ndarray,
    tower: np.ndarray,
    weight: np.ndarray,
    keys: np.ndarray,
) -> None:
    """Refuse what does not fit together."""
    rows = len(x)
    for name in ("TA", "SWIN"):
        if name not in names:
            raise InputError(f"{name} is not among the predictors {', '.join(names)}.{did_you_mean(name, names)}")
    shapes = {
        "x": (x.shape, (rows, len(names))),
        "observed": (observed.shape, (rows, len(FLUX_NAMES))),
        "baselines": (baselines.shape, (rows, len(FLUX_NAMES))),
        "tower": (tower.shape, (rows,)),
        "weight": (weight.shape, (len(weight), rows)),
        "keys": (keys.shape, (len(weight), 2)),
    }
    for name, (given, due) in shapes.items():
        if given != due or not rows or not len(weight):
            raise InputError(f"{name} is {given}, and {due} is due, with one row and one lane at least")
    if not np.issubdtype(tower.dtype, np.integer) or tower.min() < 0:
        raise InputError("tower: numbers of towers are whole and not negative")
    if not (np.isfinite(weight) & (weight >= 0)).all():
        lane = int(np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)).all(1))[0])
        raise InputError(f"weight of lane {lane}: weights of rows are finite and not negative")
