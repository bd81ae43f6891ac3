"""The [experiment] table of an upscaling: what is learned at towers, by what, and what is left out to test it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from phloem.typed_tables import Above, ExperimentTable, Positive, Section

if TYPE_CHECKING:
    from phloem.analysis.upscaling.upscaling_settings import UpscalingSettings
    from phloem.io.flux_towers.quality_rules import QualityRules
    from phloem.kernels.flux_network.flux_network_options import FluxNetworkOptions

Flux = Literal["gpp", "reco", "nee", "le"]
Scheme = Literal["tower", "row", "block", "year"]
Way = Literal["residual", "direct", "blend"]
_Part = Annotated[float, Field(ge=0, le=1)]
_Sampled = Annotated[float, Field(gt=0, le=1)]

FITS_OF_A_TILE = 240
"""Fits of a tile where the campaign file says nothing: about a minute."""

MEMBERS = 10
"""Members that the size of a tile is reckoned for."""


def _all_fluxes() -> list[Flux]:
    return ["gpp", "reco", "nee", "le"]


def _all_ways() -> list[Way]:
    return ["residual", "direct", "blend"]


def _usual_schemes() -> list[Scheme]:
    return ["tower", "row"]


class BaselinesSection(Section):
    """Choices of the process baselines; as of `BaselineOptions`."""

    jmax: Literal["wang17", "none"] = "wang17"
    reco: Literal["q10", "lloyd-taylor"] = "q10"
    rref: Literal["fapar", "igbp", "constant"] = "fapar"
    le: Literal["priestley-taylor", "pt-jpl"] = "priestley-taylor"
    ppfd: Above = 2.04


class TreesSection(Section):
    """Gradient-boosted trees; as of `TreeOptions`."""

    trees: Annotated[int, Field(ge=1, le=5000)] = 100
    depth: Annotated[int, Field(ge=1, le=12)] = 6
    learning_rate: _Sampled = 0.05
    min_child_weight: Annotated[float, Field(ge=0)] = 4.0
    subsample: _Sampled = 0.8
    colsample: _Sampled = 0.8
    l2: Annotated[float, Field(ge=0)] = 1.0
    bins: Annotated[int, Field(ge=8, le=256)] = 64


_Weight = Annotated[float, Field(ge=0)]


class FluxNetworkSection(Section):
    """Networks with constraints; as of `FluxNetworkOptions`. Where residuals are learned, `head` is "residual"."""

    head: Literal["softplus", "relu", "soft"] = "softplus"
    activation: Literal["tanh", "softplus"] = "tanh"
    hard_mass: bool = False
    l_mass: _Weight = 1.0
    l_pos: _Weight = 1.0
    l_light: _Weight = 0.1
    l_temp: _Weight = 0.1
    penalty_share: _Part = 0.25
    learning_rate: Above = 1e-3
    batch_rows: Positive = 64
    max_epochs: Positive = 100
    patience: Positive = 10
    validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.15

    def options(self, way: str) -> FluxNetworkOptions:
        """Return the options of the networks of a way."""
        from phloem.kernels.flux_network.flux_network_options import FluxNetworkOptions

        chosen = self.model_dump()
        return FluxNetworkOptions(**chosen | ({"head": "residual"} if way == "residual" else {}))


class QualitySection(Section):
    """Months that count; as of `QualityRules`."""

    carbon_share: _Part = 0.8
    heat_share: _Part = 0.8
    carbon_unknown: bool = False
    heat_unknown: bool = True
    partitioning: Literal["night", "day"] = "night"
    corrected_heat: bool = False
    closure: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    outlier: Annotated[float, Field(ge=0)] = 8.0
    outlier_years: Annotated[int, Field(ge=3)] = 5
    bounds: bool = True

    def rules(self) -> QualityRules:
        """Return the rules."""
        from phloem.io.flux_towers.quality_rules import QualityRules

        chosen = self.model_dump(exclude={"closure"})
        return QualityRules(**chosen, closure=None if self.closure is None else (self.closure[0], self.closure[1]))


class UpscalingTable(ExperimentTable):
    """Models of fluxes at towers; `campaign.members` is the size of each ensemble.

    Attributes:
        learn: what is learned, one way or several: `residual` of the process baselines, the flux itself (`direct`), or
            a `blend` of both, weighed at towers that a member was not fitted to.
        use: the way that `phloem apply` takes; by default the last that is learned.
        learner: `xgboost`, `histogram` (scikit-learn), `cascade`, or `network` with constraints.
        fluxes: what is modelled.
        predictors: names; empty: all that the table of towers has.
        cv: what is left out together: `tower` (the headline: places never seen), `row` (as published), `block`, `year`.
        folds: of `row` and `block`.
        block_degrees: side of the boxes of `block`.
        draws: of what a member sees a share: `tower` or `row`.
        row_share: of the towers or rows.
        predictor_share: of the predictors that a member sees.
        monotone: whether physical directions are imposed on trees.
        level: of the conformal intervals.
    """

    kind_of_work: ClassVar[str] = "upscaling"
    names: ClassVar[tuple[str, ...]] = ("upscaling",)

    name: Literal["upscaling"] = "upscaling"
    learn: Annotated[list[Way], Field(min_length=1)] = Field(default_factory=_all_ways)
    use: Way | None = None
    learner: Literal["xgboost", "histogram", "cascade", "network"] = "xgboost"
    fluxes: Annotated[list[Flux], Field(min_length=1)] = Field(default_factory=_all_fluxes)
    predictors: list[str] = Field(default_factory=list)
    cv: list[Scheme] = Field(default_factory=_usual_schemes)
    folds: Annotated[int, Field(ge=2, le=1000)] = 10
    block_degrees: Annotated[float, Field(gt=0, le=90)] = 10.0
    draws: Literal["tower", "row"] = "tower"
    row_share: _Sampled = 0.8
    predictor_share: _Sampled = 0.8
    monotone: bool = False
    level: Annotated[float, Field(ge=0.5, lt=1)] = 0.9
    baselines: BaselinesSection = BaselinesSection()
    trees: TreesSection = TreesSection()
    network: FluxNetworkSection = FluxNetworkSection()
    quality: QualitySection = QualitySection()

    @model_validator(mode="before")
    @classmethod
    def _of_networks(cls, tree: Any) -> Any:
        """A network learns the fluxes themselves where nothing is said."""
        if isinstance(tree, dict) and tree.get("learner") == "network" and "learn" not in tree:
            return {**tree, "learn": ["direct"]}
        return tree

    @model_validator(mode="after")
    def _fits(self) -> UpscalingTable:
        if self.learner != "network":
            return self
        if len(self.learn) > 1 or self.learn == ["blend"]:
            raise ValueError('learner = "network" learns one way: learn = "direct", or "residual"')
        if sorted(self.fluxes) != sorted(_all_fluxes()):
            raise ValueError('learner = "network" has all fluxes at once, which its constraints tie: leave fluxes out')
        if self.predictors and not {"TA", "SWIN"} <= set(self.predictors):
            raise ValueError('learner = "network" has constraints on TA and SWIN: they are due among the predictors')
        return self

    @field_validator("learn", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        """One way may stand there without brackets."""
        return [value] if isinstance(value, str) else value

    @field_validator("learn", "fluxes", "cv", "predictors")
    @classmethod
    def _once(cls, names: list[str]) -> list[str]:
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{twice[0]} stands there twice")
        return names

    @field_validator("use")
    @classmethod
    def _learned(cls, way: str | None, info: Any) -> str | None:
        learned = info.data.get("learn", [])
        if way is not None and learned and way not in learned:
            raise ValueError(f'"{way}" is not learned; learn has {", ".join(learned)}')
        return way

    @property
    def applied_way(self) -> str:
        """The way that maps are made by."""
        return self.use or self.learn[-1]

    @classmethod
    def usual_tile(cls, table: Mapping[str, Any]) -> int:
        """Return units of about a minute; a network's folds go side by side."""
        return 64 if table.get("learner") == "network" else FITS_OF_A_TILE // MEMBERS

    def check_data(self, kind: str, domain: str) -> None:
        """Refuse data that are no table of towers."""
        if kind != "flux-towers" and (kind, domain) != ("synthetic", "flux-towers"):
            raise ValueError(
                'experiment.name = "upscaling" goes with data.kind = "flux-towers", a table of tower months as '
                '`phloem ingest --what towers` makes it, or "synthetic" with domain = "flux-towers"'
            )

    def settings(self) -> UpscalingSettings:
        """Return the settings of the models."""
        from phloem.analysis.upscaling.upscaling_settings import BaselineOptions, TreeOptions, UpscalingSettings

        return UpscalingSettings(
            ways=tuple(self.learn),
            learner=self.learner,
            fluxes=tuple(self.fluxes),
            predictors=tuple(self.predictors),
            draws=self.draws,
            row_share=self.row_share,
            predictor_share=self.predictor_share,
            monotone=self.monotone,
            baselines=BaselineOptions(**self.baselines.model_dump()),
            trees=TreeOptions(**self.trees.model_dump()),
        )

    def science(self) -> dict[str, Any]:
        """Return the keys that a result depends on: what maps are made by is settled afterwards."""
        return self.model_dump(exclude={"use", "level"})
