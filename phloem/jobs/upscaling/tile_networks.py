"""The networks of one tile: folds and members side by side as lanes, resumable between any two epochs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phloem.analysis.upscaling.network_member import FittedNetworks, NetworkRows, network_rows
from phloem.jobs.campaign.kind_of_work import Arrays, Lane
from phloem.jobs.upscaling.fit_units import NOTHING, FitInput
from phloem.jobs.upscaling.table import UpscalingTable
from phloem.jobs.upscaling.tile_fits import BASELINE, all_ways, fit_seed, missing_arrays, put_model
from phloem.kernels.flux_network.flux_network_options import FLUX_NAMES
from phloem.kernels.flux_network.lane_statistics import LaneStatistics, flat_statistics
from phloem.names import STATUS
from phloem.sharding.lanes.devices import local_devices
from phloem.sharding.training.flux_network_training import FluxNetworkTraining


class TileNetworks:
    """The networks of a tile under way.

    Networks that see a baseline have their own, whose constants are fitted to their rows: then those of one unit and
    member go alone, since all lanes of a training share one table.

    Attributes:
        in_flight: networks side by side.
    """

    def __init__(
        self,
        table: UpscalingTable,
        seed: int,
        members: int,
        units: Sequence[FitInput],
        lanes: Sequence[Lane] | None,
        devices: int,
    ) -> None:
        """Draw the networks.

        Args:
            table: of the upscaling.
            seed: of the campaign.
            members: of each unit.
            units: of the tile.
            lanes: those to train, units by their position; None: all.
            devices: of this process, over which lanes are laid.
        """
        self.table, self.units, self.members = table, list(units), members
        taken = [Lane(unit, member, 0) for unit in range(len(units)) for member in range(members)]
        self._lanes = taken if lanes is None else [Lane(*lane) for lane in lanes]
        self.in_flight = len(self._lanes)
        self._held = [unit.data.held(unit.about) for unit in units]
        settings, self._prepared = table.settings(), units[0].data.prepared
        self._rows = [
            network_rows(
                self._prepared, self._held[lane.unit], settings, fit_seed(seed, units[lane.unit].name, lane.member)
            )
            for lane in self._lanes
        ]
        self._options = table.network.options(table.learn[0])
        together = [list(range(len(self._lanes)))]
        if self._options.head == "residual":
            together = [[place] for place in range(len(self._lanes))]
        self._groups = together
        self._devices = local_devices(devices, "cpu")
        self._trainings = [self._training(group) for group in together]

    def _training(self, group: Sequence[int]) -> FluxNetworkTraining:
        """Return the networks of some lanes at their first epoch."""
        prepared, rows = self._prepared, [self._rows[place] for place in group]
        observed = np.stack([prepared.rows.observed[flux] for flux in FLUX_NAMES], axis=1)
        return FluxNetworkTraining(
            prepared.table,
            prepared.predictors,
            observed,
            _unseen_of_none(rows),
            prepared.rows.site,
            np.stack([one.drawn for one in rows]).astype(np.float32),
            np.stack([one.key for one in rows]),
            self._options,
            self._devices,
        )

    @property
    def running(self) -> bool:
        """Whether any network still trains."""
        return any(training.running for training in self._trainings)

    @property
    def stage(self) -> int:
        """How many still train: an epoch takes as many times as long."""
        return sum(training.running for training in self._trainings)

    @property
    def steps_taken(self) -> int:
        """Epochs of all networks; one that has stopped counts as finished."""
        return sum(self._epochs(training) for training in self._trainings)

    def _epochs(self, training: FluxNetworkTraining) -> int:
        running, epoch = np.asarray(training.lanes.running), np.asarray(training.lanes.epoch)
        return int(np.where(running, epoch, self._options.max_epochs).sum())

    @property
    def total_steps(self) -> int:
        """Epochs of all networks, at most."""
        return self._options.max_epochs * len(self._lanes)

    def advance(self, steps: int) -> int:
        """Take up to so many epochs in the first training that still runs."""
        training = next(one for one in self._trainings if one.running)
        return max(1, training.advance(steps))

    def halve(self) -> bool:
        """Blocks have one size, by which the bits are: nothing can be halved."""
        return False

    def saved(self) -> Arrays:
        """Return where the networks stand."""
        return {
            f"{number}.{name}": values
            for number, training in enumerate(self._trainings)
            for name, values in training.saved().items()
        }

    def restore(self, arrays: Arrays) -> None:
        """Go back to what was saved.

        Raises:
            ValueError: the arrays are not those of these networks; nothing has changed then.
        """
        due = self.saved()
        if wrong := sorted(set(due).symmetric_difference(arrays)):
            raise ValueError(f"checkpoint does not fit: {wrong[0]}")
        if wrong := [
            name for name in due if (due[name].shape, due[name].dtype) != (arrays[name].shape, arrays[name].dtype)
        ]:
            raise ValueError(f"checkpoint does not fit: {wrong[0]}")
        for number, training in enumerate(self._trainings):
            prefix = f"{number}."
            training.restore({
                name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)
            })  # fmt: skip

    def arrays(self) -> Arrays:
        """Return the arrays of the tile's file; a network that met no number is `diverged`."""
        counts = [int(held.sum()) for held in self._held]
        names = [unit.name for unit in self.units]
        ways = all_ways(self.table)
        arrays = missing_arrays(names, self.members, len(FLUX_NAMES), len(ways), max(counts, default=0))
        for group, training in zip(self._groups, self._trainings, strict=True):
            weights, statistics = training.weights(), flat_statistics(LaneStatistics(*training.statistics))
            losses, epochs = np.asarray(training.lanes.best_loss), np.asarray(training.lanes.epoch)
            for lane, place in enumerate(group):
                unit, member = self._lanes[place].unit, self._lanes[place].member
                arrays["steps"][unit, member] = epochs[lane]
                if not np.isfinite(losses[lane]):
                    arrays["status"][unit, member] = STATUS["diverged"]
                    continue
                arrays["status"][unit, member] = STATUS["calibrated"]
                arrays["unseen_error"][unit, member] = losses[lane]
                fitted = self._fitted(self._rows[place], weights[lane], statistics[lane])
                self._predict(arrays, unit, member, fitted, self._rows[place])
        return arrays

    def _fitted(self, rows: NetworkRows, weights: np.ndarray, statistics: np.ndarray) -> FittedNetworks:
        return FittedNetworks(
            self._options,
            self.table.settings().baselines,
            self._prepared.predictors,
            (rows.constants,),
            weights[None],
            statistics[None],
        )

    def _predict(self, arrays: Arrays, unit: int, member: int, fitted: FittedNetworks, rows: NetworkRows) -> None:
        if self.units[unit].about.scheme == NOTHING:
            put_model(arrays, unit, member, fitted.to_bytes())
            return
        held = np.flatnonzero(self._held[unit])
        found = fitted.predict_prepared(self._prepared.table[held], rows.baselines[held])
        ways = all_ways(self.table)
        for place, _ in enumerate(FLUX_NAMES):
            arrays["predicted"][unit, member, place, ways.index(BASELINE), : len(held)] = rows.baselines[held, place]
            arrays["predicted"][unit, member, place, 1, : len(held)] = found[0, :, place]


def _unseen_of_none(rows: Sequence[NetworkRows]) -> np.ndarray:
    """Return the baselines that a training sees: those of its one lane; of several lanes, which read none, none."""
    if len(rows) == 1:
        return rows[0].baselines.astype(np.float32)
    return np.full(rows[0].baselines.shape, np.nan, np.float32)
