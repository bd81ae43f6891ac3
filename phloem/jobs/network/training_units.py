"""The networks of a campaign as units: one of each set-up and run, with its split of the patches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from phloem.arithmetic import ceil_div
from phloem.errors import InputError, some
from phloem.io.grids.placed_cells import DEFAULT_STEP
from phloem.io.patches.patch_store import PatchStore, open_patches
from phloem.io.patches.predictor_moments import COLUMNS, mean_and_deviation
from phloem.io.patches.splits import Split, held_out, split_of
from phloem.io.published.published_patches import published_split
from phloem.jobs.campaign.campaign import Campaign, relative_to_campaign
from phloem.jobs.campaign.kind_of_work import CheckedInput, Units
from phloem.jobs.campaign.unit_table import NEEDED, PlannedUnit, UnitTable
from phloem.jobs.config.campaign_file import Configuration
from phloem.jobs.config.paths import expand_path
from phloem.jobs.network.table import NetworkTable

REFERENCE = ("MAT", "MAP")
"""Predictors that the model reads as forcing too."""


def table_of(configuration: Configuration) -> NetworkTable:
    """Return the table of a training.

    Raises:
        InputError: it is none.
    """
    if not isinstance(configuration.experiment, NetworkTable):
        raise InputError(f'experiment.name = "{configuration.experiment.name}" trains no networks')
    return configuration.experiment


def unit_name(set_up: str, run: int) -> str:
    """Return the name of the network of a set-up and run, as PFT+CLIM.03."""
    return f"{set_up}.{run:02d}"


@dataclass(frozen=True, eq=False)
class TrainingInput:
    """What one network is trained on.

    Attributes:
        name: of the unit.
        set_up: name of its set-up.
        run: its number.
        store: of the patches.
        split: of them.
        statistics: mean and population standard deviation of the columns that any set-up of the campaign sees, over the
            cells of the training patches; in the order of `COLUMNS`.
    """

    name: str
    set_up: str
    run: int
    store: PatchStore
    split: Split
    statistics: Mapping[str, tuple[float, float]]


def columns_seen(table: NetworkTable) -> list[str]:
    """Return the columns that any set-up of a training sees, in the order of `COLUMNS`."""
    from phloem.kernels.network.set_ups import columns

    seen = {name for groups in table.groups for name in columns(groups)}
    return [name for name in COLUMNS if name in seen]


def steps_of_epoch(table: NetworkTable, split: Split) -> int:
    """Return the steps that an epoch takes over the training patches of a split."""
    return ceil_div(len(split.train), table.patches_per_step)


def run_split(table: NetworkTable, store: PatchStore, seed: int, run: int) -> Split:
    """Return the split of a run.

    Raises:
        InputError: nothing is left to train on, or the store brings no split.
    """
    if table.split == "published":
        return _published(table, store, run)
    fold = run % table.folds if table.folds else 0
    named = store.facts.get("test")
    if named is not None and not table.folds:
        places = {name: place for place, name in enumerate(store.names)}
        test = tuple(sorted(places[name] for name in named if name in places))
    else:
        test = held_out(store.names, table.test_share, table.split_seed, table.folds, fold)
    share = 0.0 if table.train_on == "train+dev" else table.dev_share
    return split_of(store.names, test, seed, run, dev_share=share)


def _published(table: NetworkTable, store: PatchStore, run: int) -> Split:
    if not store.facts.get("published_splits"):
        raise InputError(f'experiment.split = "published": {store.paths.index} brings no split; valid is "hashed"')
    split = published_split(store, run + 1)
    if table.train_on == "train+dev":
        return Split(tuple(sorted((*split.train, *split.dev))), (), split.test)
    return split


def training_input(table: NetworkTable, store: PatchStore, seed: int, set_up: str, run: int) -> TrainingInput:
    """Return what a network is trained on.

    Raises:
        InputError: a predictor that the store lacks or that is the same everywhere.
    """
    split = run_split(table, store, seed, run)
    statistics = mean_and_deviation(store.moments(split.train), columns_seen(table))
    return TrainingInput(unit_name(set_up, run), set_up, run, store, split, statistics)


@dataclass(frozen=True)
class CheckedPatches:
    """A patch store over which all networks can be trained.

    Attributes:
        configuration: complete, its paths absolute.
        store: the patches.
    """

    configuration: Configuration
    store: PatchStore

    def units(self, root: Path) -> Units:
        """Return the networks, run by run, so that those of one run can go side by side."""
        table, members = table_of(self.configuration), self.configuration.campaign.members
        source = relative_to_campaign(self.store.paths.root, root)
        planned = [
            PlannedUnit(unit_name(set_up, run), source, self.store.checksum, steps=steps)
            for run, steps in enumerate(self._steps(table, members))
            for set_up in table.set_ups
        ]
        return Units(UnitTable.of(planned, (*NEEDED, "steps")), {"step": self.store.step or DEFAULT_STEP})

    def _steps(self, table: NetworkTable, members: int) -> list[int]:
        seed = self.configuration.campaign.seed
        splits = [run_split(table, self.store, seed, run) for run in range(members)]
        return [table.epochs * steps_of_epoch(table, split) for split in splits]


@dataclass(frozen=True)
class MadeUpPatches:
    """A synthetic Earth that is made inside the campaign."""

    configuration: Configuration

    def units(self, root: Path) -> Units:
        """Make the patches, and return the networks."""
        return checked_store(self.configuration, self.patches(root)).units(root)

    def patches(self, root: Path) -> PatchStore:
        """Make the patches that are not there yet, or not what they were."""
        from phloem.jobs.synthetic.globe.globe_store import make_globe

        return make_globe(root / "patches", self.configuration.data.earth)


def check_patches(configuration: Configuration, base: Path) -> CheckedInput:
    """Read and check the table of a patch store; see `KindOfWork.check`.

    Raises:
        InputError: what no training over it could use; nothing is computed.
    """
    _check_choices(configuration)
    if configuration.data.kind == "synthetic":
        return MadeUpPatches(configuration)
    path = expand_path(str(configuration.data.path), base)
    data = configuration.data.model_copy(update={"path": str(path)})
    return checked_store(configuration.model_copy(update={"data": data}), open_patches(path))


def _check_choices(configuration: Configuration) -> None:
    """Refuse what no store could make right, before one is made or read."""
    table, members = table_of(configuration), configuration.campaign.members
    if configuration.engine.devices > table.patches_per_step:
        raise InputError(
            f"engine.devices = {configuration.engine.devices}, and experiment.patches_per_step = "
            f"{table.patches_per_step}: devices share the patches of a step, and some would have none"
        )
    if table.folds > members:
        raise InputError(
            f"experiment.folds = {table.folds}, and campaign.members = {members}: a run holds out one part, so that "
            "some parts would never be unseen; at least as many runs are due"
        )


def checked_store(configuration: Configuration, store: PatchStore) -> CheckedPatches:
    """Return a store over which all networks of a configuration can be trained.

    Raises:
        InputError: they cannot be.
    """
    table, path = table_of(configuration), store.paths.root
    if store.months % 12 or store.first_month.astype(int) % 12:
        raise InputError(
            f"{path}: {store.months} months from {store.first_month} on: whole years from a January on are due"
        )
    if table.folds > len(store):
        raise InputError(f"experiment.folds = {table.folds}: {path} has {len(store)} patches, fewer than parts")
    _check_columns(table, store)
    labelled = [name for name in store.streams if name not in table.leave_out]
    if not labelled:
        raise InputError(f"{path}: no label of any stream is left to train on (it has {some(store.streams)})")
    for run in range(configuration.campaign.members):
        one = training_input(table, store, configuration.campaign.seed, table.set_ups[0], run)
        if table.choose == "best-dev" and not one.split.dev:
            raise InputError(
                f'experiment.choose = "best-dev": run {run} watches none of the {len(store)} patches of {path}; a '
                'larger experiment.dev_share, or choose = "last"'
            )
    return CheckedPatches(configuration, store)


def _check_columns(table: NetworkTable, store: PatchStore) -> None:
    """Refuse predictors that some cells lack: all networks of a campaign are trained on the same cells."""
    cells = sum(store.table["cells"])
    moments = store.moments(range(len(store)))
    for name in dict.fromkeys([*columns_seen(table), *REFERENCE]):
        count = moments[name][0]
        if count < cells:
            lacking = [
                patch
                for patch, row, there in zip(store.names, store.table["moments"], store.table["cells"], strict=True)
                if row[COLUMNS.index(name)][0] < there
            ]
            raise InputError(
                f"{store.paths.root}: predictor {name} is missing in {cells - count} of {cells} cells (patches "
                f"{some(lacking)}); leave its group out of experiment.set_ups, or ingest again so that cells "
                "without it are left out"
            )


def moved_patches(campaign: Campaign, wanted: Configuration, base: Path) -> Units | None:
    """Return the networks with their patches in another folder; None where they are where they were.

    A synthetic Earth that is damaged is made again.

    Raises:
        InputError: the store there is another.
    """
    if wanted.data.kind == "synthetic":
        if not _are_whole(expand_path(campaign.cells[0].source, campaign.paths.root)):
            MadeUpPatches(wanted).patches(campaign.paths.root)
        return None
    folder = expand_path(str(wanted.data.path), base)
    if folder == expand_path(str(campaign.configuration.data.path), campaign.paths.root):
        return None
    store = open_patches(folder)
    _refuse_other(campaign.cells[0], store)
    return CheckedPatches(wanted, store).units(campaign.paths.root)


def _are_whole(folder: Path) -> bool:
    """Tell whether a patch store is there, with all its patches."""
    try:
        return open_patches(folder).is_whole()
    except InputError:
        return False


def _refuse_other(unit: PlannedUnit, store: PatchStore) -> None:
    if store.checksum != unit.checksum:
        raise InputError(
            f"{store.paths.index}: this patch store is not the one over which the campaign was planned (sha256 "
            f"{store.checksum[:12]}, planned {unit.checksum[:12]}). Put that store there, or start a new campaign with "
            "--out."
        )


def planned_store(campaign: Campaign, unit: PlannedUnit) -> PatchStore:
    """Open the patches over which a network was planned.

    Raises:
        InputError: they are not there, or the store is not what it was when the campaign was planned.
    """
    folder, root = expand_path(unit.source, campaign.paths.root), campaign.paths.root
    if not folder.exists():
        raise InputError(f"{folder}: the patches of {root} are not there; phloem run {root} --set data.path=NEW/PLACE")
    store = open_patches(folder)
    _refuse_other(unit, store)
    return store


def read_training(campaign: Campaign, unit: PlannedUnit) -> TrainingInput:
    """Open the patches of a network again.

    Raises:
        InputError: the store is not what it was when the campaign was planned.
    """
    store = planned_store(campaign, unit)
    set_up, _, run = unit.name.rpartition(".")
    return training_input(
        table_of(campaign.configuration), store, campaign.configuration.campaign.seed, set_up, int(run)
    )
