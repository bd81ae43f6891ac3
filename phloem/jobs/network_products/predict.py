"""What trained networks predict of the cells of patches: quantities, and monthly outputs, patch after patch.

Everything that is made of networks feeds on these. Predictors are standardised by each network's own run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from phloem.errors import InputError, WorkError, some
from phloem.io.campaign.tile_schema import good_lanes
from phloem.io.patches.patch_store import PatchStore
from phloem.io.patches.stored_patch import StoredPatch
from phloem.jobs.campaign.backend import require_backend
from phloem.jobs.config.parameters_file import ALL_MEMBERS, MEDIAN, member_numbers
from phloem.jobs.network.patch_source import cells_of
from phloem.jobs.network.table import JOIN
from phloem.jobs.network.trained_networks import TrainedNetworks
from phloem.jobs.network_products.output_names import DEFAULT_OUTPUTS, model_outputs, with_sums
from phloem.kernels.network.parameter_network import Weights
from phloem.kernels.network.patch_cells import MonthAxis, PatchCells, forcing_of_cells, predictor_rows
from phloem.kernels.network.patch_outputs import networks_of_flat, outputs_of_patch, quantities_of_patch
from phloem.kernels.network.set_ups import columns
from phloem.kernels.time_loop.day_tables import DayTables

MEAN = "mean"
"""Choice of members: those that count, averaged."""


class PreparedPatch(NamedTuple):
    """A patch as the kernels read it.

    Attributes:
        stored: as its store holds it.
        predictors: standardised for each member, (members, rows, columns).
        forcing: tables of the time loop.
    """

    stored: StoredPatch
    predictors: np.ndarray
    forcing: DayTables


def fullest_set_up(networks: TrainedNetworks) -> str:
    """Return the set-up that sees the most predictors, the first of several."""
    return max(networks.set_ups, key=lambda name: len(columns(tuple(name.split(JOIN)))))


def chosen_members(networks: TrainedNetworks, set_up: str, members: str) -> list[int]:
    """Return the runs whose networks of a set-up are taken.

    Args:
        networks: of the campaign.
        set_up: one of its own.
        members: `all` or `mean`: those that count; or numbers with commas between them.

    Raises:
        InputError: no such choice or number, or a network that was not trained to its end.
    """
    root = networks.campaign.paths.root
    if members in (ALL_MEMBERS, MEAN):
        return networks.kept_members(set_up)
    if members == MEDIAN:
        raise InputError(f"--members {MEDIAN}: of networks {ALL_MEMBERS}, {MEAN}, or numbers such as 0,2 are due")
    place, numbers = networks.place(set_up), list(dict.fromkeys(member_numbers(members)))
    trained = good_lanes(networks.status[place]) & np.isfinite(networks.weights[place]).all(-1)
    if wrong := [number for number in numbers if number not in np.flatnonzero(trained)]:
        raise InputError(
            f"{root}: --members: set-up {set_up} has no network of run {wrong[0]}; those with one are "
            f"{some(np.flatnonzero(trained).tolist())}"
        )
    return numbers


def quantities_of_members(
    networks: TrainedNetworks, set_up: str, members: Sequence[int], patch: StoredPatch
) -> np.ndarray:
    """Return the physical quantities that several networks give a patch's cells, (members, 40, cells).

    Quantities are in the order of `dalec_monthly.parameters.UNKNOWNS`; days as the networks give them, in their bounds.

    Raises:
        InputError: no such set-up, or a predictor that a cell lacks.
    """
    cells = cells_of(patch, networks.store.co2, networks.table.mode)
    inputs = _inputs(networks, set_up, members, cells, max(networks.store.rows, len(patch)), f"patch {patch.name}")
    found = quantities_of_patch(_stacked(networks, set_up, members), inputs, networks.table.mode)
    return np.asarray(found)[:, :, : len(patch)]


def quantities(networks: TrainedNetworks, set_up: str, member: int, patch: StoredPatch) -> np.ndarray:
    """Return the physical quantities that a network gives a patch's cells, (40, cells); see `quantities_of_members`."""
    return quantities_of_members(networks, set_up, [member], patch)[0]


def predicted(
    networks: TrainedNetworks,
    set_up: str,
    members: Sequence[int],
    positions: Sequence[int],
    names: Sequence[str] = DEFAULT_OUTPUTS,
    store: PatchStore | None = None,
) -> Iterator[tuple[StoredPatch, dict[str, np.ndarray]]]:
    """Simulate the cells of patches month by month with what networks give them.

    One patch after the other is calculated on all cores, while the next is read; no more than these two are in memory.
    A patch's outputs take members x (outputs + sums) x months x rows numbers.

    Args:
        networks: of the campaign.
        set_up: one of its own.
        members: runs, in the order of the outputs.
        positions: of patches in the store.
        names: of outputs, of `output_names.QUANTITIES`.
        store: other patches than those of the campaign, as of a scenario. Cells that the campaign's own store has in a
            patch of the same name keep that one's mean temperature and rain as the model's reference climate: with a
            scenario's own, a warmer world would respire as before.

    Yields:
        Each patch, and its outputs by name, (members, months, cells).

    Raises:
        InputError: no such set-up, a damaged patch, a predictor or forcing that a cell lacks.
        WorkError: an output is not finite.
    """
    require_backend(networks.campaign.configuration)
    kept, stacked = model_outputs(names), _stacked(networks, set_up, members)
    source = networks.store if store is None else store
    with ThreadPoolExecutor(1, "patches") as maker:

        def begin(place: int) -> Future[PreparedPatch] | None:
            if place >= len(positions):
                return None
            return maker.submit(_prepared, networks, set_up, members, source, positions[place])

        waiting = begin(0)
        for place in range(len(positions)):
            assert waiting is not None
            patch = waiting.result()
            waiting = begin(place + 1)
            yield patch.stored, _outputs(networks, set_up, members, stacked, patch, kept, names)


def _outputs(
    networks: TrainedNetworks, set_up: str, members: Sequence[int], stacked: Weights, patch: PreparedPatch,
    kept: tuple[str, ...], names: Sequence[str],
) -> dict[str, np.ndarray]:  # fmt: skip
    table = networks.table
    numbers = outputs_of_patch(stacked, patch.predictors, patch.forcing, table.mode, table.time_loop, kept)
    values = np.asarray(numbers)[..., : len(patch.stored)]
    for output, name in enumerate(kept):
        if not np.isfinite(values[:, output]).all():
            member, month, cell = np.argwhere(~np.isfinite(values[:, output]))[0]
            raise WorkError(
                f"patch {patch.stored.name}, cell {patch.stored.cells[cell]}, month {month}: {name} of the network "
                f"{set_up}.{members[member]:02d} is not finite; leave this network out with --members"
            )
    return with_sums({name: values[:, output] for output, name in enumerate(kept)}, names)


def _prepared(
    networks: TrainedNetworks, set_up: str, members: Sequence[int], store: PatchStore, position: int
) -> PreparedPatch:
    stored, table = store.read(position), networks.table
    where = str(store.paths.patch(stored.name))
    cells = cells_of(stored, store.co2, table.mode)
    if store is not networks.store:
        cells = _with_reference(networks, cells, stored)
    inputs = _inputs(networks, set_up, members, cells, store.rows, where)
    months, dtype = MonthAxis(store.first_month, store.months), networks.weights.dtype
    try:
        forcing = forcing_of_cells(cells, months, store.rows, mode=table.mode, dtype=dtype)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error
    return PreparedPatch(stored, inputs, forcing)


def _with_reference(networks: TrainedNetworks, cells: PatchCells, stored: StoredPatch) -> PatchCells:
    """Return cells with the reference climate that they have in the campaign's own store, where it has them."""
    own = networks.store
    if stored.name not in own.names:
        return cells
    before = own.read(own.names.index(stored.name))
    places = {name: place for place, name in enumerate(before.cells)}
    here = [place for place, name in enumerate(stored.cells) if name in places]
    there = [places[stored.cells[place]] for place in here]
    temperature, rain = (np.array(one, float) for one in cells.reference)
    known = cells_of(before, own.co2, networks.table.mode).reference
    temperature[here], rain[here] = (np.asarray(one, float)[there] for one in known)
    return replace(cells, reference=(temperature, rain))


def _stacked(networks: TrainedNetworks, set_up: str, members: Sequence[int]) -> Weights:
    vectors = networks.weights[networks.place(set_up), list(members)]
    return networks_of_flat(jnp.asarray(vectors), len(networks.columns) - 1)


def _inputs(
    networks: TrainedNetworks, set_up: str, members: Sequence[int], cells: PatchCells, rows: int, where: str
) -> np.ndarray:
    """Predictors of a set-up, standardised for each member, (members, rows, columns); 0 in those it does not see."""
    seen = columns(tuple(networks.set_ups[networks.place(set_up)].split(JOIN)))
    found = []
    for member in members:
        statistics = networks.statistics(set_up, member)
        try:
            own = {name: statistics[name] for name in seen}
            found.append(predictor_rows(cells, own, rows, networks.columns))
        except ValueError as error:
            raise InputError(f"{where}: {error}") from error
    return np.stack(found).astype(networks.weights.dtype)
