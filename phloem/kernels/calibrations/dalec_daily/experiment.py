"""The [experiment] table of campaigns that calibrate the daily DALEC, and what each experiment asks of the kernels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from phloem.errors import InputError
from phloem.kernels.calibrations.dalec_daily.tables import GRID, TOWERS
from phloem.kernels.calibrations.experiment import Calibration
from phloem.model_tables import ModelTables
from phloem.names import STREAMS, WINDOW_MEANS
from phloem.typed_tables import Above, Positive, Section, TowerYears, Years

if TYPE_CHECKING:
    from phloem.kernels.calibrations.dalec_daily.site import DalecSite
    from phloem.kernels.calibrations.dalec_daily.site_objective import SiteObjective
    from phloem.kernels.calibrations.protocol import RunProtocol
    from phloem.kernels.models.dalec_daily.forcing_terms import Weather
    from phloem.kernels.models.model import Model
    from phloem.kernels.objective.site import Site
    from phloem.kernels.optimise.optimiser import Optimiser

GRID_EXPERIMENTS = ("baseline", "single-year", "growth-curve")
"""Experiments over a driver store, in the order in which they are compared."""

BIOMASS = {"baseline": "none", "single-year": "snapshot", "growth-curve": "trajectory"}
"""What each of them fits of the live biomass."""

GROWTH_YEARS = 107
"""36 years of forcing three times, the last year of the third pass dropped."""

CARBON_POOLS = ("labile", "foliar", "root", "wood", "litter", "som")

Pool = Literal["labile", "foliar", "root", "wood", "litter", "som"]
Stream = Literal["gpp", "reco", "et", "lai"]


class LeafLine(Section):
    """EDC7: ln leaf lifespan (years) = alpha + gamma ln LCMA (gC m-2), within sigma; from a trait table."""

    alpha: float
    gamma: float
    sigma: Above


class DalecExperiment(Calibration):
    """Calibration of the daily DALEC: what is minimised, in which arithmetic, and what runs the time loop.

    The keys from `forcing_years` on go with the grid experiments; `years` are those of the growth-curve run. Towers may
    have `calibration_years` and `validation_years` too; else the first half of each record is calibrated.
    `window_means` are the streams whose observations are means over windows, as the store says.
    """

    names: ClassVar[tuple[str, ...]] = ("site", *GRID_EXPERIMENTS)

    name: Literal["site", "baseline", "single-year", "growth-curve"] = "site"
    steady_pools: list[Pool] | Literal["all"] | None = None
    edc4_sharpness: Above = 10.0
    forcing_years: Years = Field(default=[1985, 2020])
    calibration_years: Years = Field(default=[2001, 2012])
    validation_years: Years = Field(default=[2013, 2019])
    years: Positive = GROWTH_YEARS
    initial_live_caps: Annotated[list[Above], Field(min_length=4, max_length=4)] | Literal["near-zero", "none"] = (
        "near-zero"
    )
    snapshot_spread: Above = 0.5
    edc7: bool = True
    leaf_economics: LeafLine | None = None
    window_means: list[Stream] = Field(default=["reco"])

    @model_validator(mode="after")
    def _fits(self) -> DalecExperiment:
        if not self.reads_store:
            self._check_tower_years()
            grid_keys = sorted(self.model_fields_set & set(GRID_KEYS) - set(TOWER_KEYS))
            changed = [key for key in grid_keys if getattr(self, key) != DalecExperiment.model_fields[key].default]
            if changed:
                raise ValueError(f"{changed[0]} goes with the grid experiments: {', '.join(GRID_EXPERIMENTS)}")
            return self
        if self.window_means != [name for name in STREAMS if name in self.window_means]:
            raise ValueError(f"window_means: some of {', '.join(STREAMS)}, in this order, each once")
        for key in ("forcing_years", "calibration_years", "validation_years"):
            first, last = getattr(self, key)
            if first > last:
                raise ValueError(f"{key} = [{first}, {last}]: the first year comes first")
        if self.validation_years[0] != self.calibration_years[1] + 1:
            raise ValueError("validation_years begin with the year after calibration_years")
        caps = self.initial_live_caps if isinstance(self.initial_live_caps, list) else []
        for pool, cap in zip(self.tables.pools, caps, strict=False):
            if not pool.lower < cap <= pool.upper:
                bounds = f"above {pool.lower:g}, at most {pool.upper:g} gC m-2"
                raise ValueError(f"initial_live_caps: {cap:g} for {pool.name}; {bounds}")
        protocol = self.protocol
        lacking = [
            year
            for year in range(self.calibration_years[0], self.validation_years[1] + 1)
            if year not in protocol.years
        ]
        if lacking:
            raise ValueError(f"no simulated year has the forcing of {lacking[0]}: see forcing_years and years")
        if self.edc7 and self.leaf_economics is None:
            raise ValueError(
                "EDC7 needs [experiment.leaf_economics] with alpha, gamma and sigma, which "
                "`phloem ingest --what leaf-economics TRAITS.csv` fits; or set edc7 = false"
            )
        return self

    def _check_tower_years(self) -> None:
        if "validation_years" in self.model_fields_set and "calibration_years" not in self.model_fields_set:
            if self.validation_years != DalecExperiment.model_fields["validation_years"].default:
                raise ValueError("validation_years goes with the grid experiments, or at towers with calibration_years")
            return
        years = self.tower_years
        if years is None:
            return
        if years.first > years.calibrated:
            raise ValueError(f"calibration_years = [{years.first}, {years.calibrated}]: the first year comes first")
        if years.last is not None and (
            self.validation_years[0] != years.calibrated + 1 or self.validation_years[1] < self.validation_years[0]
        ):
            raise ValueError("validation_years begin with the year after calibration_years")

    @property
    def tower_years(self) -> TowerYears | None:
        """Years of towers' records that were asked for."""
        if self.reads_store or "calibration_years" not in self.model_fields_set:
            return None
        last = self.validation_years[1] if "validation_years" in self.model_fields_set else None
        return TowerYears(self.calibration_years[0], self.calibration_years[1], last)

    @property
    def reads_store(self) -> bool:
        """Whether it runs over a driver store."""
        return self.name in GRID_EXPERIMENTS

    @property
    def tables(self) -> ModelTables:
        """Parameters, pools, streams and terms of the loss."""
        return GRID if self.reads_store else TOWERS

    @property
    def bounded_tables(self) -> ModelTables:
        """The same tables; a stand that begins near zero has lower ceilings of its initial live pools."""
        caps = self.live_caps or ()
        pools = self.tables.pools
        capped = tuple(replace(pool, upper=cap) for pool, cap in zip(pools, caps, strict=False))
        return replace(self.tables, pools=(*capped, *pools[len(caps) :]))

    def check_data(self, kind: str, domain: str) -> None:
        """Refuse a store where towers are due, and the other way round."""
        if self.tower_years is not None and kind != "tower":
            raise ValueError('calibration_years goes with the grid experiments, or with data.kind = "tower"')
        made = "boreal" if self.reads_store else "transect"
        if kind != ("grid" if self.reads_store else "tower") and (kind, domain) != ("synthetic", made):
            raise ValueError(
                f'experiment.name = "{self.name}" goes with '
                + (
                    'data.kind = "grid", or "synthetic" with domain = "boreal"'
                    if self.reads_store
                    else 'data.kind = "tower", or "synthetic" with domain = "transect"'
                )
            )

    def science(self) -> dict[str, Any]:
        """Return the keys that a result depends on; a default that was once no choice is left out, as it was then."""
        keys = self.model_dump()
        if self.windowed == WINDOW_MEANS:
            del keys["window_means"]
        if self.tower_years is not None:
            keys["tower_years"] = [self.tower_years.first, self.tower_years.calibrated, self.tower_years.last]
        return keys

    def written(self) -> dict[str, Any]:
        """Return the keys that a frozen campaign file holds; those of other experiments are left out."""
        keys = self.model_dump(exclude_none=True)
        if self.reads_store:
            return keys
        own = set(TOWER_KEYS) & self.model_fields_set if self.tower_years is not None else set()
        return {key: value for key, value in keys.items() if key not in GRID_KEYS or key in own}

    @property
    def pools(self) -> tuple[str, ...]:
        """Carbon pools held near steady state: by default all six at a tower, SOM alone in a grid cell (EDC6)."""
        if self.steady_pools is None:
            return ("som",) if self.reads_store else CARBON_POOLS
        return CARBON_POOLS if self.steady_pools == "all" else tuple(self.steady_pools)

    @property
    def protocol(self) -> RunProtocol:
        """What is simulated and compared."""
        from phloem.kernels.calibrations.protocol import RunProtocol

        forcing, years = self.forcing_years, self.years
        if self.name != "growth-curve":
            forcing = [self.calibration_years[0], self.validation_years[1]]
            years = forcing[1] - forcing[0] + 1
        return RunProtocol(
            forcing=(forcing[0], forcing[1]),
            simulated=years,
            calibration=(self.calibration_years[0], self.calibration_years[1]),
            validation=(self.validation_years[0], self.validation_years[1]),
            biomass=BIOMASS[self.name],
            snapshot_spread=self.snapshot_spread,
        )

    @property
    def windowed(self) -> tuple[str, ...]:
        """Streams that are compared as means over windows."""
        return tuple(self.window_means)

    @property
    def on_windows(self) -> DalecExperiment:
        """The experiment as the optimiser's windows see it: a stand that grows from near zero is full-grown there."""
        return self.model_copy(update={"name": "baseline"}) if self.name == "growth-curve" else self

    @property
    def live_caps(self) -> tuple[float, float, float, float] | None:
        """Upper bounds of the initial live pools, gC m-2; only the growth-curve run begins near zero."""
        from phloem.kernels.calibrations.dalec_daily.grid_objective import NEAR_ZERO

        if self.name != "growth-curve" or self.initial_live_caps == "none":
            return None
        if self.initial_live_caps == "near-zero":
            return NEAR_ZERO
        labile, foliar, root, wood = self.initial_live_caps
        return labile, foliar, root, wood

    def objective(self) -> SiteObjective:
        """Return the loss of towers, or of grid cells."""
        from phloem.kernels.calibrations.dalec_daily.grid_objective import GridObjective, LeafEconomicsLine
        from phloem.kernels.calibrations.dalec_daily.site_objective import SiteObjective
        from phloem.kernels.models.dalec_daily.grid_operators import grid_dalec
        from phloem.kernels.models.dalec_daily.mode_switches import switches

        shared: dict[str, Any] = {
            "backend": self.backend,
            "steady_pools": self.pools,
            "switches": switches(self.mode),
            "edc4_sharpness": self.edc4_sharpness,
        }
        if not self.reads_store:
            return SiteObjective(self.forward_model(), **shared)
        line = self.leaf_economics if self.edc7 else None
        return GridObjective(
            grid_dalec(self.mode, self.windowed),
            **shared,
            leaf_economics=LeafEconomicsLine(line.alpha, line.gamma, line.sigma) if line else None,
            live_caps=self.live_caps,
        )

    def site(self, cell: Any) -> DalecSite:
        """Return a tower or a grid cell as the kernels read it; see `Calibration.site`."""
        return self._site(cell)

    def site_on_windows(self, cell: Any, site: Site) -> Site:
        """Return the cell for the optimiser's windows.

        What the pre-calibration found is taken over only where both read the same years of the record: daily LAI is
        interpolated, across the edge of a shorter record too, so that other days would count.
        """
        on = self.on_windows
        same = self.reads_store and on.protocol.forcing == self.protocol.forcing
        return on._site(cell, getattr(site, "ce_opt", None) if same else None)

    def _site(self, cell: Any, efficiency: float | None = None) -> DalecSite:
        from phloem.kernels.calibrations.dalec_daily.grid_site import grid_site
        from phloem.kernels.calibrations.dalec_daily.site import tower_site
        from phloem.kernels.models.dalec_daily.mode_switches import switches

        if not self.reads_store:
            return tower_site(cell, switches(self.mode))
        if self.name == "single-year" and not cell.has_snapshot:
            raise InputError(f"cell {cell.name}: no biomass_snapshot, which the single-year experiment fits")
        if self.name == "growth-curve" and not cell.has_trajectory:
            raise InputError(f"cell {cell.name}: no growth curve, which the growth-curve experiment fits")
        try:
            return grid_site(cell, self.protocol, switches(self.mode), self.windowed, efficiency)
        except ValueError as error:
            raise InputError(f"cell {cell.name}: {error}") from error

    def tuned(self, optimiser: Optimiser) -> Optimiser:
        """Return the optimiser; after windows that see a stand full-grown, its live pools begin anew."""
        from phloem.kernels.models.dalec_daily.grid_operators import LIVE
        from phloem.kernels.optimise.windowed_bfgs import WindowedBfgs

        if isinstance(optimiser, WindowedBfgs) and optimiser.windows and self.live_caps:
            count = len(self.tables.parameters)
            rows = tuple(count + row for row, name in enumerate(self.tables.pool_names) if name in LIVE)
            return replace(optimiser, restarted=rows)
        return optimiser

    def forward_model(self) -> Model:
        """Return the plain daily model: forward runs need no operators of observations."""
        from phloem.kernels.models.dalec_daily.daily_step import dalec

        return dalec(self.mode)

    def scenario_weather(self, cell: Any, drivers: Any) -> Weather:
        """Return the forcing terms of other drivers, at the reference climate of the calibration."""
        from phloem.kernels.calibrations.dalec_daily.grid_site import years_of
        from phloem.kernels.models.dalec_daily.forcing_terms import reference_climate, weather
        from phloem.kernels.models.dalec_daily.mode_switches import switches

        first, last = self.calibration_years
        window = years_of(cell.year, (first, last)) if self.reads_store else cell.training_days
        reference = reference_climate(cell.forcing, window)
        everything = len(drivers.time)
        return weather(
            drivers.time, drivers.doy, cell.latitude, drivers.forcing, everything, switches(self.mode), reference
        )

    def forward_weather(self, site: Site) -> Weather:
        """Return what the plain daily model reads of a site's forcing."""
        from phloem.kernels.models.dalec_daily.forcing_terms import Weather

        return Weather(*site.weather[: len(Weather._fields)])


GRID_KEYS = tuple(list(DalecExperiment.model_fields)[6:])
"""Keys of the grid experiments."""

TOWER_KEYS = ("calibration_years", "validation_years")
"""Those of them that towers may have too."""
