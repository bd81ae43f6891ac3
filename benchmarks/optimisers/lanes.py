"""Lanes for comparing optimisers: the public towers, and made stands that grow for 107 years.

What a candidate is given: where each lane starts, its cell, the objective over the whole record, and what its windows
are. Blocks have 64 lanes, as in campaigns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from phloem.io.drivers.tower_cell import Cell
from phloem.io.drivers.tower_files import read_tower
from phloem.jobs.config.paths import data_root
from phloem.jobs.synthetic.transect import make_cell
from phloem.kernels.calibrations.dalec_daily.experiment import DalecExperiment
from phloem.kernels.calibrations.dalec_daily.site import DalecSite
from phloem.kernels.calibrations.dalec_daily.site_objective import SiteObjective
from phloem.kernels.models.dalec_daily.daily_step import dalec, inputs, state
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS, UNKNOWNS
from phloem.kernels.models.dalec_daily.records import Observed
from phloem.kernels.objective.objective import SiteData
from phloem.kernels.objective.record_windows import richest_years
from phloem.kernels.objective.site import Site, site_data
from phloem.kernels.optimise.lanes import Lanes, cell_number
from phloem.kernels.optimise.optimiser import Optimiser, begin
from phloem.kernels.simulate.daily_outputs import trajectory
from phloem.kernels.time_loop.day_tables import day_tables
from phloem.names import STREAMS
from phloem.sharding.lanes.blocks import BLOCK

TUNED_ON = ("FI-Hyy", "DE-Tha", "US-Var", "AU-Stp", "NL-Loo")
"""Towers on which the defaults of the fast optimiser were chosen."""

HELD_OUT = ("AU-DaS", "AU-Dry", "DE-Hai", "FR-Pue", "US-MMS", "US-SRG")
MEMBERS = 5
CYCLE_YEARS, PASSES = 36, 3
OBSERVED_FROM = 88
"""Years of the long run before the first observation: 2001 is its year 89 (docs/science.md#experiments)."""

SAPLING = {"labile": 5.0, "foliar": 8.0, "root": 8.0, "wood": 10.0}
"""gC m-2: live pools of a stand that has just begun to grow."""


@dataclass(frozen=True)
class Bench:
    """Cells and lanes of one comparison.

    Attributes:
        names: of the cells.
        sites: the cells.
        seeds: each gives MEMBERS lanes a cell.
        objective: what is minimised.
        numbers: of the cells, from which lanes draw.
    """

    names: tuple[str, ...]
    sites: tuple[DalecSite, ...]
    seeds: tuple[int, ...]
    objective: SiteObjective
    numbers: tuple[int, ...]

    @cached_property
    def lanes(self) -> list[tuple[int, int, int]]:
        """(seed, cell, member) of each lane."""
        return [
            (seed, cell, member) for seed in self.seeds for cell in range(len(self.names)) for member in range(MEMBERS)
        ]

    @cached_property
    def cell(self) -> np.ndarray:
        """Cell of each lane, (lanes,)."""
        return np.array([cell for _, cell, _ in self.lanes], np.int32)

    def held_out(self) -> np.ndarray:
        """Tell which lanes stand on towers that nothing was chosen on, (lanes,)."""
        return np.array([self.names[cell] not in TUNED_ON for cell in self.cell])

    def begin(self, optimiser: Optimiser) -> Lanes:
        """Return all lanes at their first step, host arrays."""
        model = self.objective.model
        alone = [
            begin(optimiser, model, seed, [self.numbers[cell]], [member], [self.sites[cell].starts], np.float32, 1)
            for seed, cell, member in self.lanes
        ]
        return jax.tree.map(lambda *leaves: np.concatenate([np.asarray(leaf) for leaf in leaves]), *alone)

    def data(self, window: str = "calibration") -> SiteData:
        """Return the whole records."""
        return site_data(self.sites, np.float32, window)

    def windows(self, optimiser: Optimiser) -> list[SiteData]:
        """Return the tables of an optimiser's windows, the whole record last, all of one shape."""
        longest = max(site.days for site in self.sites)
        parts: list[list[Site]] = [[richest_years(site, years) for site in self.sites] for years in optimiser.windows]
        return [site_data(part, np.float32, least=longest) for part in (*parts, self.sites)]

    def shares(self, optimiser: Optimiser) -> np.ndarray:
        """Return the length of each lane's windows as a share of its record, (lanes, windows + 1)."""
        rows = [
            [*(richest_years(site, years).days / site.days for years in optimiser.windows), 1.0] for site in self.sites
        ]
        return np.array(rows)[self.cell]

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the lanes of each block; a short one repeats its first lane."""
        for first in range(0, len(self.lanes), BLOCK):
            part = np.arange(first, min(first + BLOCK, len(self.lanes)))
            yield np.concatenate([part, np.full(BLOCK - len(part), part[0])])

    @cached_property
    def record_loss(self) -> Callable[[Any, float], np.ndarray]:
        """A function of raw values (lanes, 38) and k: the loss over the whole record, (lanes,)."""
        data = self.data()
        loss = jax.jit(lambda raw, k, cell: self.objective.loss(raw.T, k, data, cell))

        def evaluate(raw: Any, k: float) -> np.ndarray:
            values = np.empty(len(self.lanes))
            for rows in self.blocks():
                block = jnp.asarray(np.asarray(raw)[rows], jnp.float32)
                values[rows] = loss(block, jnp.full(BLOCK, k, jnp.float32), jnp.asarray(self.cell[rows]))
            return values

        return evaluate

    def scores(self, raw: np.ndarray, window: str) -> np.ndarray:
        """Return the sum of the NNSE of all streams, (lanes,)."""
        data = self.data(window)
        values = np.empty(len(self.lanes))
        run = jax.jit(lambda raw, k, cell: self.objective.terms(raw.T, k, data, cell)[0].observations)
        for rows in self.blocks():
            block = jnp.asarray(raw[rows], jnp.float32)
            values[rows] = -run(block, jnp.full(BLOCK, 30.0, jnp.float32), jnp.asarray(self.cell[rows]))
        return values


def towers(names: tuple[str, ...], seeds: tuple[int, ...]) -> Bench:
    """Return the public towers, data as they are, in strict mode."""
    root = data_root()
    if root is None:
        raise SystemExit("the towers are read from PHLOEM_DATA (fluxnet_daily); set it")
    sites = [
        DalecExperiment().site(read_tower(root / "fluxnet_daily" / f"{name}.nc", quality="keep")) for name in names
    ]
    steady = DalecExperiment(backend="cpu").objective()
    return Bench(names, tuple(sites), seeds, steady, tuple(cell_number(name) for name in names))


def growing(cells: int, seed: int = 0) -> Bench:
    """Return made stands that grow from almost nothing over 107 years, observed in their last nineteen.

    Weather of 36 years is repeated, the last year of the last pass dropped. The four streams are observed with noise in
    years 89 to 107; no pool is asked to be steady. There is no biomass among the observations: the site objective knows
    none, so that these lanes are 107 years long, but easier than those of the growth-curve experiment.
    """
    names = tuple(f"G{number:02d}" for number in range(cells))
    sites = [_growing(name, latitude, seed) for name, latitude in zip(names, np.linspace(48, 66, cells), strict=True)]
    return Bench(
        names,
        tuple(sites),
        (seed,),
        DalecExperiment(backend="cpu", steady_pools=[]).objective(),
        tuple(cell_number(n) for n in names),
    )


def _growing(name: str, latitude: float, seed: int) -> DalecSite:
    transect, truth = make_cell(name, float(latitude), CYCLE_YEARS, cell_number(name) + seed)
    ends = np.flatnonzero(np.diff(transect.doy) < 0) + 1
    days = len(transect.time)
    row = np.tile(np.arange(days), PASSES)[: PASSES * days - (days - int(ends[-1]))]
    time = transect.time[0] + np.arange(len(row))
    late = int(np.searchsorted(np.cumsum(np.r_[0, transect.doy[row][1:] < transect.doy[row][:-1]]), OBSERVED_FROM))
    cell = replace(
        transect,
        time=time,
        doy=transect.doy[row],
        forcing={key: values[row] for key, values in transect.forcing.items()},
        observations={key: np.full(len(row), np.nan) for key in STREAMS},
        evaporative_fraction=np.full(len(row), np.nan),
        training_days=len(row),
    )
    blank = DalecExperiment().site(cell)
    start = truth.copy()
    for offset, pool in enumerate(UNKNOWNS[len(PARAMETERS) :]):
        start[len(PARAMETERS) + offset] = SAPLING.get(pool.name, start[len(PARAMETERS) + offset])
    return replace(
        blank, observations=_observed(cell, blank, start, late), ce_opt=DalecExperiment().site(transect).ce_opt
    )


def _observed(cell: Cell, blank: DalecSite, truth: np.ndarray, late: int) -> dict[str, np.ndarray]:
    """Run the truth and observe it, with noise of a tenth, on two days of three from the day `late` on."""
    nothing = Observed(*[np.zeros(len(cell.time))] * len(Observed._fields))
    table = day_tables([blank.weather], [nothing], np.float64)
    parameters = inputs(jnp.asarray(truth[: len(PARAMETERS)])[:, None])
    pools = state(jnp.asarray(truth[len(PARAMETERS) :])[:, None])
    run = trajectory(dalec("strict"), parameters, pools, table, jnp.zeros(1, int))
    rng = np.random.default_rng(cell_number(cell.name))
    seen = {}
    for stream in STREAMS:
        clean = np.asarray(getattr(run, stream))[: len(cell.time), 0]
        noisy = clean * (1 + 0.1 * rng.standard_normal(len(clean)))
        seen[stream] = np.where((np.arange(len(clean)) >= late) & (rng.random(len(clean)) < 2 / 3), noisy, np.nan)
    return seen
