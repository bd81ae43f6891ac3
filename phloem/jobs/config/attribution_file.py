"""The attribution file: targets, predictors and settings of `phloem attribute`, read into a typed tree."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from phloem.analysis.trees.settings import AttributionSettings
from phloem.errors import InputError
from phloem.io.drivers.climate_means import CLIMATE
from phloem.jobs.config.toml_file import assign, load_toml
from phloem.model_tables import ModelTables
from phloem.typed_tables import Above, Positive, Section

_NAME = r"^[A-Za-z][A-Za-z0-9_]*$"
_Portion = Annotated[float, Field(gt=0, le=1)]
_Count = Annotated[int, Field(ge=0)]
_YEAR = Annotated[int, Field(ge=1, le=9999)]


class AttributionSection(Section):
    """Targets and settings of an attribution; the defaults are those of `analysis.trees.settings.AttributionSettings`.

    `years` are those of the climate means; by default 1985 to 2020 as far as a store has them, and a tower's whole
    record. `climate` and `statics` choose among what the drivers give: all climate means, and of a store's numbers
    those whose names begin with soil_ or pft_.
    """

    targets: Annotated[list[str], Field(min_length=1)]
    years: Annotated[list[_YEAR], Field(min_length=2, max_length=2)] | None = None
    climate: list[str] = Field(default=list(CLIMATE))
    statics: list[str] | None = None
    estimator: Literal["auto", "exact", "histogram"] = "auto"
    n_estimators: Positive = AttributionSettings.n_estimators
    learning_rate: _Portion = AttributionSettings.learning_rate
    max_depth: Positive = AttributionSettings.max_depth
    min_samples_leaf: Positive = AttributionSettings.min_samples_leaf
    subsample: _Portion = AttributionSettings.subsample
    max_features: _Portion = AttributionSettings.max_features
    folds: Annotated[int, Field(ge=2)] = AttributionSettings.folds
    block_degrees: Above = AttributionSettings.block_degrees
    convergence: Literal["mask", "weight", "none"] = "mask"
    rcv_limit: Above = AttributionSettings.rcv_limit
    shap: Literal["path", "interventional"] = "path"
    dependence_predictors: _Count = AttributionSettings.dependence_predictors
    bootstrap: _Count = AttributionSettings.bootstrap
    lowess_fraction: _Portion = AttributionSettings.lowess_fraction
    explained_cells: Positive = AttributionSettings.explained_cells
    partition: bool = AttributionSettings.partition
    log: list[str] = Field(default_factory=list)
    seed: Annotated[int, Field(ge=0, lt=2**32)] = AttributionSettings.seed
    workers: _Count = AttributionSettings.workers

    @model_validator(mode="after")
    def _fits(self) -> AttributionSection:
        if self.years and self.years[0] > self.years[1]:
            raise ValueError(f"years must ascend, as [1985, 2020]; got {self.years}")
        if odd := [name for name in self.climate if name not in CLIMATE]:
            raise ValueError(f"climate: {odd[0]!r} is unknown; valid are {', '.join(CLIMATE)}")
        for key in ("targets", "climate", "statics", "log"):
            names = getattr(self, key) or []
            if twice := [name for name in names if names.count(name) > 1]:
                raise ValueError(f"{key}: {twice[0]!r} stands twice")
        if odd := [name for name in self.log if name not in self.targets]:
            raise ValueError(f"log: {odd[0]!r} is no target; the targets are {', '.join(self.targets)}")
        return self

    def settings(self) -> AttributionSettings:
        """Return what the numerics read."""
        given: dict[str, Any] = self.model_dump(exclude={"targets", "years", "climate", "statics"})
        return AttributionSettings(**{**given, "log": tuple(self.log)})


class PredictorSection(Section):
    """One predictor from a file of the user's own.

    `path` is a CF-NetCDF map, or a CSV table with a column `cell` (or `site`) of cell ids. `variable` is the file's own
    name, by default `name`; `ratio` divides one variable by another instead, both as means over the cell. `select`
    picks a place along further dimensions by their coordinates, `method` a mean over the cell or the pixel at its
    centre. Values are multiplied by `scale`, and `units` are those after that; without a scale, a map whose own unit is
    another is converted.
    """

    name: Annotated[str, Field(pattern=_NAME)]
    group: Annotated[str, Field(min_length=1)]
    path: str
    variable: str | None = None
    ratio: Annotated[list[str], Field(min_length=2, max_length=2)] | None = None
    select: dict[str, float | str | list[float]] = Field(default_factory=dict)
    method: Literal["mean", "nearest"] = "mean"
    units: str | None = None
    scale: float = 1.0
    long_name: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> PredictorSection:
        if self.variable is not None and self.ratio is not None:
            raise ValueError("variable and ratio exclude each other")
        if self.is_table and self.select:
            raise ValueError("select goes with maps; a table has one value a cell")
        if self.scale != 1 and self.units is None:
            raise ValueError("scale changes the unit: say units")
        return self

    @property
    def is_table(self) -> bool:
        """Whether it is a CSV table."""
        return self.path.lower().endswith((".csv", ".txt"))

    @property
    def variables(self) -> list[str]:
        """What is read from the file."""
        return self.ratio or [self.variable or self.name]


class AttributionFile(Section):
    """An attribution file."""

    attribution: AttributionSection
    predictors: list[PredictorSection] = Field(default_factory=list)

    @model_validator(mode="after")
    def _fits(self) -> AttributionFile:
        names = [*self.attribution.climate, *(self.attribution.statics or []), *(one.name for one in self.predictors)]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"two predictors are called {twice[0]!r}")
        return self


def valid_targets(tables: ModelTables) -> tuple[str, ...]:
    """Return what can be attributed: derived quantities, and the parameters that the model reads."""
    derived = tables.derived.names
    return (*derived, *(one.name for one in tables.shown if one.name not in derived))


def load_attribution_file(
    path: Path | None, tables: ModelTables, targets: Sequence[str] | None = None, assignments: Sequence[str] = ()
) -> AttributionFile:
    """Read an attribution file.

    Args:
        path: the TOML file; None: all defaults.
        tables: of the model whose parameters are attributed.
        targets: instead of the file's.
        assignments: `key=value` texts that override the [attribution] table.

    Raises:
        InputError: unreadable file, unknown key or target (the valid ones are named), bad value.
    """

    valid = valid_targets(tables)

    def change(tree: dict[str, Any]) -> None:
        for assignment in assignments:
            assign(tree, assignment, "n_estimators=200", table="attribution")
        section = tree.setdefault("attribution", {})
        if isinstance(section, dict):
            section.setdefault("targets", list(tables.attributed or valid))
            if targets is not None:
                section["targets"] = list(targets)

    file = load_toml(path, AttributionFile, "attribution file", change)
    for name in file.attribution.targets:
        if name not in valid:
            unread = name in tables.parameter_names
            near = [] if unread else difflib.get_close_matches(name, valid, 1)
            why = "is never read by the model" if unread else "is unknown"
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InputError(f"target {name!r} {why}.{hint} Valid are {', '.join(valid)}")
    return file
