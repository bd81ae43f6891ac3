"""The [experiment] table of the campaign file, and what each experiment asks of the kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from phloem.jobs.config.toml_file import Above, Positive, Section, Year
from phloem.kernels.objective.grid_objective import GridObjective
from phloem.kernels.objective.protocol import Protocol
from phloem.names import POOLS, STREAMS

if TYPE_CHECKING:
    from phloem.kernels.objective.grid_objective import GridObjective
    from phloem.kernels.objective.protocol import Protocol

GRID_EXPERIMENTS = ("baseline", "single-year", "growth-curve")
"""Experiments over a driver store, in the order in which they are compared (calibration.md section 2)."""

BIOMASS = {"baseline": "none", "single-year": "snapshot", "growth-curve": "trajectory"}
"""What each of them fits of the live biomass."""

GROWTH_YEARS = 107
"""36 years of forcing three times, the last year of the third pass dropped."""

LIVE_BOUNDS = ((1.0, 2_000.0), (1.0, 2_000.0), (1.0, 2_000.0), (1.0, 100_000.0))
"""gC m-2: floors and ceilings of the live pools (dalec_daily.md section 1)."""

Years = Annotated[list[Year], Field(min_length=2, max_length=2)]
Pool = Literal["labile", "foliar", "root", "wood", "litter", "som"]
Stream = Literal["gpp", "reco", "et", "lai"]


class LeafLine(Section):
    """EDC7: ln leaf lifespan (years) = alpha + gamma ln LCMA (gC m-2), within sigma; from a trait table."""

    alpha: float
    gamma: float
    sigma: Above


class Experiment(Section):
    """What is minimised, in which arithmetic, and what runs the time loop.

    `backend = "auto"` is settled when the campaign is planned: `cpu` where a C compiler is found, else `xla`. The keys
    from `forcing_years` on go with the grid experiments; `years` are those of the growth-curve run. `window_means` are
    the streams whose observations are means over windows, as the store says.
    """

    name: Literal["site", "baseline", "single-year", "growth-curve"] = "site"
    mode: Literal["strict", "compat"] = "strict"
    precision: Literal["float32", "float64"] = "float32"
    backend: Literal["auto", "xla", "cpu"] = "auto"
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
    def _fits(self) -> Experiment:
        if not self.is_grid:
            given = sorted(self.model_fields_set & set(GRID_KEYS))
            changed = [key for key in given if getattr(self, key) != Experiment.model_fields[key].default]
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
        for pool, (floor, ceiling), cap in zip(POOLS, LIVE_BOUNDS, caps, strict=False):
            if not floor < cap <= ceiling:
                raise ValueError(f"initial_live_caps: {cap:g} for {pool}; above {floor:g}, at most {ceiling:g} gC m-2")
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

    @property
    def is_grid(self) -> bool:
        """Whether it runs over a driver store."""
        return self.name in GRID_EXPERIMENTS

    @property
    def pools(self) -> tuple[str, ...]:
        """Carbon pools held near steady state: by default all six at a tower, SOM alone in a grid cell (EDC6)."""
        if self.steady_pools is None:
            return ("som",) if self.is_grid else POOLS[:6]
        return POOLS[:6] if self.steady_pools == "all" else tuple(self.steady_pools)

    @property
    def protocol(self) -> Protocol:
        """What is simulated and compared."""
        from phloem.kernels.objective.protocol import Protocol

        forcing, years = self.forcing_years, self.years
        if self.name != "growth-curve":
            forcing = [self.calibration_years[0], self.validation_years[1]]
            years = forcing[1] - forcing[0] + 1
        return Protocol(
            forcing=(forcing[0], forcing[1]),
            simulated=years,
            calibration=(self.calibration_years[0], self.calibration_years[1]),
            validation=(self.validation_years[0], self.validation_years[1]),
            biomass=BIOMASS[self.name],
            snapshot_spread=self.snapshot_spread,
        )

    @property
    def on_windows(self) -> Experiment:
        """The experiment as the optimiser's windows see it: a stand that grows from near zero is full-grown there."""
        return self.model_copy(update={"name": "baseline"}) if self.name == "growth-curve" else self

    @property
    def live_caps(self) -> tuple[float, float, float, float] | None:
        """Upper bounds of the initial live pools, gC m-2; only the growth-curve run begins near zero."""
        from phloem.kernels.objective.grid_objective import NEAR_ZERO

        if self.name != "growth-curve" or self.initial_live_caps == "none":
            return None
        if self.initial_live_caps == "near-zero":
            return NEAR_ZERO
        labile, foliar, root, wood = self.initial_live_caps
        return labile, foliar, root, wood

    def grid_objective(self) -> GridObjective:
        """Return the objective of a grid experiment; equal tables give equal (and once compiled) objectives."""
        from phloem.kernels.models.dalec_daily.grid_operators import grid_dalec
        from phloem.kernels.models.dalec_daily.mode_switches import switches
        from phloem.kernels.objective.grid_objective import GridObjective, LeafEconomics

        line = self.leaf_economics if self.edc7 else None
        return GridObjective(
            grid_dalec(self.mode, tuple(self.window_means)),
            switches(self.mode),
            self.pools,
            self.backend,
            self.edc4_sharpness,
            LeafEconomics(line.alpha, line.gamma, line.sigma) if line else None,
            self.live_caps,
        )


GRID_KEYS = tuple(list(Experiment.model_fields)[6:])
"""Keys of the grid experiments."""
