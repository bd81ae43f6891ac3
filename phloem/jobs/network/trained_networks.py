"""The networks of a merged training, as everything that is made of them reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import netCDF4
import numpy as np

from phloem.errors import InputError, WorkError
from phloem.io.patches.patch_store import PatchStore
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.network.table import NetworkTable
from phloem.jobs.network.training_units import planned_store, table_of

SPLIT = {"train": 0, "dev": 1, "test": 2}
"""What a patch is to a run."""


@dataclass(frozen=True, eq=False)
class TrainedNetworks:
    """Networks of all set-ups and runs.

    Attributes:
        campaign: that trained them.
        store: its patches.
        set_ups: names, as PFT+CLIM.
        columns: inputs of the networks, the hemisphere first.
        weights: of each network with all columns, as `parameter_network.of_flat` takes them, (set-ups, members,
            weights); NaN where there is none.
        mean, deviation: of the columns over the training cells of the run, (set-ups, members, columns); NaN of columns
            that no set-up of the campaign sees.
        loss: of the last epoch, (set-ups, members).
        loss_of_epochs: (set-ups, members, epochs).
        dev_loss: (set-ups, members, looks).
        looks: epochs before each look at the dev patches.
        status: of `names.STATUS`, (set-ups, members).
        kept: which networks count, bool (set-ups, members).
        split: what each patch of the store is to a run, of `SPLIT`, (members, patches).
    """

    campaign: Campaign
    store: PatchStore
    set_ups: tuple[str, ...]
    columns: tuple[str, ...]
    weights: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    loss: np.ndarray
    loss_of_epochs: np.ndarray
    dev_loss: np.ndarray
    looks: np.ndarray
    status: np.ndarray
    kept: np.ndarray
    split: np.ndarray

    @property
    def table(self) -> NetworkTable:
        """The training's table."""
        return table_of(self.campaign.configuration)

    def place(self, set_up: str) -> int:
        """Return the position of a set-up, its groups in any order.

        Raises:
            InputError: the campaign has no such set-up; those that it has are named.
        """
        wanted = {part.strip() for part in set_up.split("+")}
        for place, name in enumerate(self.set_ups):
            if set(name.split("+")) == wanted:
                return place
        raise InputError(f"{self.campaign.paths.root}: no set-up {set_up!r}: it has {', '.join(self.set_ups)}")

    def kept_members(self, set_up: str) -> list[int]:
        """Return the runs whose networks of a set-up count.

        Raises:
            InputError: there is no such set-up, or none of its networks counts.
        """
        members = np.flatnonzero(self.kept[self.place(set_up)]).tolist()
        if not members:
            raise InputError(
                f"{self.campaign.paths.root}: no network of the set-up {set_up} counts; see `phloem status`, then "
                f"phloem retry {self.campaign.paths.root} --lanes"
            )
        return members

    def statistics(self, set_up: str, member: int) -> dict[str, tuple[float, float]]:
        """Return mean and standard deviation of the columns by which a network's inputs are standardised."""
        place = self.place(set_up)
        pairs = zip(self.columns, self.mean[place, member], self.deviation[place, member], strict=True)
        return {name: (float(mean), float(deviation)) for name, mean, deviation in pairs if np.isfinite(mean)}

    def patches(self, part: str, member: int) -> list[int]:
        """Return the positions of the patches that are `train`, `dev` or `test` to a run."""
        return np.flatnonzero(self.split[member] == SPLIT[part]).tolist()


def read_networks(campaign: Campaign) -> TrainedNetworks:
    """Read the merged networks of a campaign and open its patches.

    Raises:
        InputError: the campaign trains none, or its patches are not there.
        WorkError: it is not merged, or its product is of another configuration.
    """
    table_of(campaign.configuration)
    path, root = campaign.paths.merged, campaign.paths.root
    if not path.is_file():
        raise WorkError(f"{path}: not there; make it with: phloem merge {root}")
    try:
        with netCDF4.Dataset(str(path)) as file:
            if file.configuration_hash != campaign.configuration.fingerprint():
                raise WorkError(f"{path}: of another configuration; make it again with: phloem merge {root}")
            names = ("weights", "mean", "deviation", "loss", "loss_of_epochs", "dev_loss", "look", "status", "split")
            arrays = {name: _numbers(file[name]) for name in names}
            texts = {name: tuple(str(one) for one in file[name][:]) for name in ("set_up", "column", "patch")}
            kept = np.asarray(file["kept"][:]) == 1
    except (OSError, IndexError, AttributeError) as error:
        raise WorkError(f"{path}: not readable ({error}); make it again with: phloem merge {root}") from error
    store = planned_store(campaign, campaign.cells[0])
    if list(texts["patch"]) != store.names:
        raise InputError(f"{store.paths.index}: other patches than those of {path}")
    return TrainedNetworks(
        campaign, store, texts["set_up"], texts["column"], kept=kept, looks=arrays.pop("look"), **arrays
    )


def _numbers(variable: netCDF4.Variable) -> np.ndarray:
    values = variable[:]
    return np.ma.filled(values, np.nan) if values.dtype.kind == "f" else np.asarray(values)


def chosen_set_ups(networks: TrainedNetworks, names: Sequence[str]) -> list[str]:
    """Return the set-ups of some names, as the campaign calls them; all where none is named.

    Raises:
        InputError: a name that the campaign does not have.
    """
    return [networks.set_ups[networks.place(name)] for name in names] or list(networks.set_ups)
