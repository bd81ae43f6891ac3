"""The campaign file: one TOML file read into a typed tree that refuses unknown keys."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import Field, SerializeAsAny, ValidationError, create_model, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from phloem.errors import InputError
from phloem.hpc.slurm_engine.gpu_requests import asked_gpus
from phloem.io.files.time_axis import StampsAt
from phloem.jobs.config.engine import EngineSection, FailuresSection
from phloem.jobs.config.experiments import DEFAULT, find_experiment
from phloem.jobs.config.globe_file import Globe
from phloem.jobs.config.optimiser import FastSection, OptimiserSection
from phloem.jobs.config.own_variables import Variables
from phloem.jobs.config.paths import expand_path
from phloem.jobs.config.toml_file import assign, load_toml, read_toml, validate
from phloem.kernels.calibrations.experiment import Calibration
from phloem.typed_tables import ExperimentTable, Section

EXAMPLE = "optimiser.iterations=2500"
"""Of what the command line sets."""


_WHOLE = {
    "patches": "the patch store that `phloem ingest --what patches` made",
    "flux-towers": "the table of tower months that `phloem ingest --what towers` made",
}
"""Data that are taken whole, and what `data.path` is then."""


class CampaignSection(Section):
    """Name, seed and restarts."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    members: Annotated[int, Field(gt=0, le=64)] = 5


class Data(Section):
    """Source of drivers and observations.

    `tower` is a folder of tower files, `grid` a driver store (`phloem ingest`), `patches` a patch store
    (`phloem ingest --what patches`), `flux-towers` a table of tower months (`phloem ingest --what towers`), `synthetic`
    is made when the campaign is planned: a transect of towers, or a `boreal` domain, which is a driver store, or months
    of `flux-towers`.
    `quality` says what happens to mendable defects: `repair` mends and reports them, `keep` only reports,
    `refuse` stops. `reference` is a file of daily reference values against which towers are checked.
    `on_bad` says what happens where some cells cannot be used: all are named and refused, or they are left out.
    A synthetic `globe` is a patch store, as [data.globe] says of it (docs/synthetic_earth.md).
    `variables` says what files call variables, in which units they are and with which sign, where that is not as usual;
    `stamps` where stamps stand in their days, if a grid file has no time bounds.
    """

    kind: Literal["tower", "grid", "patches", "flux-towers", "synthetic"]
    path: str | None = None
    sites: Annotated[list[str], Field(min_length=1)] | None = None
    quality: Literal["repair", "keep", "refuse"] = "repair"
    reference: str | None = None
    on_bad: Literal["refuse", "drop"] = "refuse"
    variables: Variables = Field(default_factory=dict)
    stamps: StampsAt = "begin"
    domain: Literal["transect", "boreal", "globe", "flux-towers"] = "transect"
    globe: Globe | None = None
    cells: Annotated[int, Field(gt=0, le=1000)] = 12
    years: Annotated[int, Field(ge=2, le=60)] = 4

    @model_validator(mode="after")
    def _complete(self) -> Data:
        if self.kind == "tower" and self.path is None:
            raise ValueError('data.path is needed for kind = "tower": the folder that holds the tower files')
        if self.kind == "grid" and self.path is None:
            raise ValueError('data.path is needed for kind = "grid": the driver store that `phloem ingest` made')
        if self.kind in _WHOLE:
            self._check_whole()
        if self.globe is not None and (self.kind, self.domain) != ("synthetic", "globe"):
            raise ValueError('[data.globe] goes with kind = "synthetic" and domain = "globe"')
        if self.kind == "synthetic" and (self.path or self.sites or self.reference):
            raise ValueError('data.path, data.sites and data.reference go with kind = "tower" or "grid"')
        if self.kind == "grid" and self.reference:
            raise ValueError('data.reference goes with kind = "tower"')
        if self.kind == "tower" and self.stamps != "begin":
            raise ValueError('data.stamps goes with kind = "grid"')
        if self.kind == "synthetic" and (self.variables or self.stamps != "begin"):
            raise ValueError('data.variables and data.stamps go with kind = "tower" or "grid"')
        return self

    def _check_whole(self) -> None:
        """Refuse keys that say of towers and cells what a file that is taken whole says itself."""
        if self.path is None:
            raise ValueError(f'data.path is needed for kind = "{self.kind}": {_WHOLE[self.kind]}')
        if given := [name for name in ("sites", "reference", "variables") if getattr(self, name)]:
            raise ValueError(f'data.{given[0]} goes with kind = "tower" or "grid"')

    @property
    def earth(self) -> Globe:
        """The synthetic Earth that is made, where the domain is one."""
        return self.globe or Globe()

    @property
    def is_store(self) -> bool:
        """Whether cells come from a driver store."""
        return self.kind == "grid" or (self.kind == "synthetic" and self.domain == "boreal")


CELLS = 12
"""Cells in a tile of a campaign on cores: 60 lanes of the 64 of a block."""


class Tiles(Section):
    """Cells in a tile (0: chosen when the campaign is planned), and minutes between its checkpoints."""

    cells: Annotated[int, Field(ge=0)] = 0
    checkpoint_minutes: Annotated[float, Field(gt=0)] = 5.0


def _default_experiment() -> ExperimentTable:
    return find_experiment(DEFAULT).model_validate({})


class Configuration(Section):
    """A campaign file."""

    campaign: CampaignSection
    data: Data
    experiment: SerializeAsAny[ExperimentTable] = Field(default_factory=_default_experiment)
    optimiser: OptimiserSection = FastSection()
    tiles: Tiles = Tiles()
    engine: EngineSection = EngineSection()
    failures: FailuresSection = FailuresSection()

    @model_validator(mode="before")
    @classmethod
    def _named(cls, tree: Any) -> Any:
        """An [optimiser] table without a name is that of the default, a tile without a size that of the experiment."""
        if not isinstance(tree, dict):
            return tree
        given, tiles, table = (tree.get(name, {}) for name in ("optimiser", "tiles", "experiment"))
        if isinstance(given, dict):
            tree = {**tree, "optimiser": {"name": "fast", **given}}
        if isinstance(tiles, dict) and "cells" not in tiles and isinstance(table, dict):
            with contextlib.suppress(InputError):
                size = find_experiment(str(table.get("name", DEFAULT))).usual_tile(table)
                tree = tree if size is None else {**tree, "tiles": {**tiles, "cells": size}}
        return tree

    @classmethod
    def shape_of(cls, tree: Mapping[str, Any]) -> type[Configuration]:
        """Return what a tree must be: its [experiment] table is that of its name."""
        table = tree.get("experiment", {})
        try:
            found = find_experiment(str(table.get("name", DEFAULT)))
        except (InputError, AttributeError):
            return cls
        return create_model(cls.__name__, __base__=cls, experiment=(found, ...))

    @field_validator("experiment", mode="before")
    @classmethod
    def _by_its_name(cls, table: Any) -> Any:
        """An [experiment] table is that of its name."""
        if not isinstance(table, dict):
            return table
        try:
            found = find_experiment(str(table.get("name", DEFAULT)))
        except InputError as error:
            choice = PydanticCustomError("experiment", "{why}", {"why": str(error)})
            line = InitErrorDetails(type=choice, loc=("name",), input=table["name"])
            raise ValidationError.from_exception_data("experiment", [line]) from error
        return found.model_validate(table)

    @model_validator(mode="after")
    def _fits(self) -> Configuration:
        self.experiment.check_data(self.data.kind, self.data.domain)
        if self.engine.gpus and self.experiment.time_loop == "cpu":
            raise ValueError(
                'engine.gpus goes with experiment.backend = "gpu" or "xla": the generated C runs on processors only'
            )
        if self.experiment.time_loop == "gpu" and not self.engine.gpus:
            raise ValueError(
                'experiment.backend = "gpu" goes with engine.gpus, the number of GPUs of a machine or task'
            )
        workers, most = self.engine.workers, self.engine.gpus // self.engine.devices
        if self.engine.gpus and self.engine.name in ("local", "slurm") and workers > most:
            raise ValueError(
                f"engine.workers = {workers} of {self.engine.devices} GPUs each, and engine.gpus = {self.engine.gpus} "
                f"has enough for {most}"
            )
        named = asked_gpus(self.engine.gres, self.engine.sbatch) if self.engine.name == "slurm" else None
        if named is not None and named < self.engine.gpus:
            raise ValueError(
                f"engine.gpus = {self.engine.gpus}, and engine.gres or engine.sbatch asks SLURM for {named} a task: "
                "leave them out, or ask for as many"
            )
        if self.engine.gpus % self.engine.devices:
            raise ValueError("engine.gpus must be a multiple of engine.devices: each worker has so many of them")
        return self

    @property
    def calibration(self) -> Calibration:
        """The experiment of a campaign that calibrates cells.

        Raises:
            InputError: it computes something else.
        """
        if not isinstance(self.experiment, Calibration):
            raise InputError(f'experiment.name = "{self.experiment.name}" calibrates no cells')
        return self.experiment

    def with_backend(self, backend: str) -> Configuration:
        """Return the same configuration with `auto` resolved; a backend that was chosen stays."""
        return self.model_copy(update={"experiment": self.experiment.with_backend(backend)})

    def with_tiles(self, cells: int) -> Configuration:
        """Return the same configuration with so many cells in a tile, where none were configured."""
        return self.model_copy(update={"tiles": self.tiles.model_copy(update={"cells": self.tiles.cells or cells})})

    def fingerprint(self) -> str:
        """Return a hash of everything that a result depends on; tiling, engine and the folder's place are not."""
        science = self.model_dump(include={"campaign": {"seed", "members"}, "optimiser": True})
        science["experiment"] = self.experiment.science()
        apart = {"path", "sites", "reference", "on_bad", "variables", "stamps", "globe"}
        science["data"] = self.data.model_dump(exclude=apart)
        if self.data.domain == "globe":
            science["data"]["globe"] = self.data.earth.model_dump()
        if self.data.kind == "tower":
            science["data"] = {"kind": "tower", "quality": self.data.quality}
        elif self.data.kind in ("grid", *_WHOLE):
            science["data"] = {"kind": self.data.kind}
        if self.data.variables:
            science["data"]["variables"] = self.data.model_dump(include={"variables"})["variables"]
        if self.data.stamps != "begin":
            science["data"]["stamps"] = self.data.stamps
        return hashlib.sha256(json.dumps(science, sort_keys=True).encode()).hexdigest()[:16]

    def written(self) -> dict[str, Any]:
        """Return the complete configuration, defaults written out; keys of other experiments are left out.

        Wherever a configuration is kept, it is this: read again, it is the same one.
        """
        return {**self.model_dump(exclude_none=True), "experiment": self.experiment.written()}

    def to_toml(self) -> str:
        """Return the file of the complete configuration."""
        return tomli_w.dumps(self.written())


def _read_site(text: str, base: Path) -> dict[str, Any]:
    """Return the [engine] table of a site file.

    Raises:
        InputError: unreadable file, or something else than an [engine] table in it.
    """
    path = expand_path(text, base)
    site = read_toml(path, f"engine.site: {path}")
    if set(site) != {"engine"} or not isinstance(site["engine"], dict):
        raise InputError(f"engine.site: {path} must hold one table, [engine]; it has: {', '.join(site) or 'nothing'}")
    return site["engine"]


def _merge_site(tree: dict[str, Any], assignments: Sequence[str], base: Path) -> None:
    """Put assignments and site files into a tree: a key of the command line outweighs a site file that stands there,
    which outweighs the campaign file, which outweighs a site file that it names itself.
    """
    engine = tree.get("engine")
    if isinstance(engine, dict) and "site" in engine:
        tree["engine"] = {**_read_site(str(engine["site"]), base), **engine}
        del tree["engine"]["site"]
    assigned: dict[str, Any] = {}
    for assignment in assignments:
        assign(assigned, assignment, EXAMPLE)
    site = assigned.get("engine", {}).pop("site", None) if isinstance(assigned.get("engine"), dict) else None
    if site is not None:
        tree["engine"] = {**tree.get("engine", {}), **_read_site(str(site), Path.cwd())}
    for assignment in assignments:
        if assignment.partition("=")[0].strip() != "engine.site":
            assign(tree, assignment, EXAMPLE)


def load_configuration(path: Path, assignments: Sequence[str] = ()) -> Configuration:
    """Read a campaign file.

    Args:
        path: the TOML file.
        assignments: `key.path=value` texts that override it.

    Raises:
        InputError: unreadable file, unknown key (the valid ones are named), bad value.
    """
    base = path.resolve().parent
    return load_toml(path, Configuration, "campaign file", lambda tree: _merge_site(tree, assignments, base))


def configuration_of(tables: Mapping[str, Any], assignments: Sequence[str] = ()) -> Configuration:
    """Read the tables of a campaign file that was never written; relative paths count from here.

    Args:
        tables: `campaign`, `data` and so on, as in the file; they are left as they are.
        assignments: `key.path=value` texts that override them.

    Raises:
        InputError: unknown key (the valid ones are named), bad value.
    """
    tree = copy.deepcopy(dict(tables))
    _merge_site(tree, assignments, Path.cwd())
    return validate(tree, Configuration, "campaign file", "tables of a campaign")
