"""The attribution file of trained networks: what is shared out, explained and projected, read into a typed tree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from phloem.jobs.config.toml_file import assign, load_toml
from phloem.names import PREDICTOR_GROUPS
from phloem.typed_tables import Positive, Section

KIND = "attribution file of networks"
"""What messages call it."""

QUANTITIES = ("ce", "lcma", "uwue", "cue", "leaf_lifespan", "gpp_root")
"""Traits that are explained where no others are named."""

Method = Literal["kernel", "permutation", "exact"]
Share = Annotated[float, Field(gt=50, le=100)]
Limit = Annotated[float, Field(gt=0)]
Map = Annotated[str, Field(pattern=r"^[^:]+:[^:]+$")]
"""A map: file and variable with a colon between."""


class SharesSection(Section):
    """The [attribution] table: how explained variance is shared out, and how the networks' agreement is screened.

    Attributes:
        seed: of all draws.
        draws: of members, behind intervals of pooled shares.
        draws_of_maps: of members, behind intervals of dominance.
        std_limit: of the spatial median of SD / |mean| of a quantity.
        mad_limit: of the robust coefficient of variation of a cell.
        screened_cells: an even draw of so many where there are more.
    """

    seed: Annotated[int, Field(ge=0)] = 0
    draws: Positive = 2000
    draws_of_maps: Annotated[int, Field(ge=0)] = 200
    std_limit: Limit = 0.6
    mad_limit: Limit = 0.3
    screened_cells: Positive = 50_000


class ShapSection(Section):
    """The [shap] table.

    Attributes:
        method: `permutation`; `kernel`, as published but without the regularisation that zeroes predictors; or `exact`
            for set-ups of at most 16 predictors.
        set_up: whose networks are explained; empty: the one that sees most.
        quantities: traits and parameters.
        components: leading principal components that are explained too.
        cells: that are explained, drawn from those that all networks have seen, 1000 in the paper; 0: none. With ten
            networks one takes 1.4 s.
        background: cells whose mean is the base.
        pairs: of orderings a cell, for `permutation`.
        plant_types: whose cells are explained apart; none named: each with enough cells.
        cells_of_type: of each; 0: none apart.
        share: per cent of a cell's area that a type covers there, at least.
    """

    method: Method = "permutation"
    set_up: str = ""
    quantities: Annotated[list[str], Field(min_length=1)] = Field(default_factory=lambda: list(QUANTITIES))
    components: Annotated[int, Field(ge=0, le=13)] = 3
    cells: Annotated[int, Field(ge=0)] = 300
    background: Positive = 100
    pairs: Positive = 20
    plant_types: list[str] = Field(default_factory=list)
    cells_of_type: Annotated[int, Field(ge=0)] = 30
    share: Share = 80.0

    @field_validator("plant_types")
    @classmethod
    def _types(cls, names: list[str]) -> list[str]:
        valid = PREDICTOR_GROUPS["PFT"]
        if wrong := [name for name in names if name not in valid]:
            raise ValueError(f"plant functional type {wrong[0]!r}: valid are {', '.join(valid)}")
        return names


class CurvesSection(Section):
    """The [curves] table: traits against climate and height.

    Attributes:
        traits: ordinates; none: no curves.
        environment: abscissae, predictors of both set-ups.
        cells: explained at a time, at most.
        method: as of [shap].
    """

    traits: list[str] = Field(default_factory=lambda: ["ce", "lcma", "cue", "gpp_root"])
    environment: Annotated[list[str], Field(min_length=1)] = Field(
        default_factory=lambda: ["MAT", "MAP", "canopy_height"]
    )
    cells: Positive = 40
    method: Method = "permutation"
    pairs: Positive = 20


class ProjectionSection(Section):
    """The [projection] table: a changed climate.

    Attributes:
        warming: K, a number, or a map as "file.nc:variable".
        rain_ratio: future over present precipitation, a number, or a map likewise.
        traits: whose change is mapped.
    """

    warming: float | Map
    rain_ratio: Annotated[float, Field(ge=0)] | Map = 1.0
    traits: Annotated[list[str], Field(min_length=1)] = Field(default_factory=lambda: ["ce", "lcma", "cue", "gpp_root"])


class NetworkAttributionFile(Section):
    """An attribution file of networks."""

    attribution: SharesSection = SharesSection()
    shap: ShapSection = ShapSection()
    curves: CurvesSection = CurvesSection()
    projection: ProjectionSection | None = None

    @model_validator(mode="after")
    def _once(self) -> NetworkAttributionFile:
        for table, names in (("shap.quantities", self.shap.quantities), ("curves.traits", self.curves.traits)):
            if twice := [name for name in names if names.count(name) > 1]:
                raise ValueError(f"{table}: {twice[0]!r} stands twice")
        return self


def load_network_attribution(
    path: Path | None, quantities: Sequence[str] | None = None, assignments: Sequence[str] = ()
) -> NetworkAttributionFile:
    """Read an attribution file of networks.

    Args:
        path: the TOML file; None: all defaults.
        quantities: instead of the file's `shap.quantities`.
        assignments: `table.key=value` texts that override the file; a key without table is of [attribution].

    Raises:
        InputError: unreadable file, unknown key (the valid ones are named), bad value.
    """

    def change(tree: dict[str, Any]) -> None:
        for assignment in assignments:
            key = assignment.partition("=")[0]
            assign(tree, assignment, "shap.cells=200", table="" if "." in key else "attribution")
        if quantities is not None:
            shap = tree.setdefault("shap", {})
            if isinstance(shap, dict):
                shap["quantities"] = list(quantities)

    return load_toml(path, NetworkAttributionFile, KIND, change)
