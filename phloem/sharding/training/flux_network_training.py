"""Training of many networks of fluxes at once: folds and members as lanes, in blocks, over the devices of a mesh."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
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
from phloem.sharding.lanes.device_rounds import AXIS, BY_LANE, REPLICATED, global_arrays


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
            devices: on which lanes are dealt out; one by default.

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
        mesh = Mesh(np.array(self._devices), (AXIS,))
        table = jax.device_put(self._table, NamedSharding(mesh, REPLICATED))
        program = epoch_program(self._loss, mesh)
        width = self.options.lanes_per_block
        before = lanes.epoch.copy()
        round_lanes = width * len(self._devices)
        # Lanes of one epoch see one order of rows.
        for epoch in np.unique(before[running]):
            together = running[before[running] == epoch]
            for first in range(0, len(together), round_lanes):
                chosen = together[first : first + round_lanes]
                places = np.resize(chosen, round_lanes)
                placed, rows = self._place(mesh, lanes, places), self._place(mesh, self._lane_rows, places)
                for number in range(epochs):
                    placed = program(placed, rows, table, self.order(int(epoch) + number))
                    if not np.asarray(placed.running).any():
                        break
                for part, found in zip(lanes, jax.device_get(placed), strict=True):
                    part[chosen] = found[: len(chosen)]
        self.lanes = lanes
        return int((lanes.epoch - before).max())

    def order(self, epoch: int) -> np.ndarray:
        """Return the rows of each minibatch of an epoch, the same for all lanes, int32 (minibatches, rows of one).

        Minibatches are of one size; the row behind the last one fills them up.
        """
        rows = len(self._table.tower) - 1
        size = self.options.batch_rows
        drawn = np.random.default_rng([self.options.seed, epoch]).permutation(rows)
        filled = np.pad(drawn, (0, size * ceil_div(rows, size) - rows), constant_values=rows)
        return filled.astype(np.int32).reshape(-1, size)

    @property
    def _lane_rows(self) -> LaneRows:
        return LaneRows(self.statistics, self._weight, self._held)

    def _place(self, mesh: Mesh, tree: Any, places: np.ndarray) -> Any:
        """Copy lanes to the devices, a block each."""
        parts = np.split(places, len(self._devices))
        return global_arrays(mesh, BY_LANE, [jax.tree.map(lambda leaf, at=at: leaf[at], tree) for at in parts])

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
def epoch_program(loss: ConstrainedLoss, mesh: Mesh) -> Callable[..., FluxLanes]:
    """Return the program (lanes, rows, table, order) -> lanes: `epoch_of_lanes` on each device, without collectives."""
    specs = (BY_LANE, BY_LANE, REPLICATED, REPLICATED)
    shard = functools.partial(epoch_of_lanes, loss)
    return jax.jit(jax.shard_map(shard, mesh=mesh, in_specs=specs, out_specs=P(AXIS), check_vma=False))


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
