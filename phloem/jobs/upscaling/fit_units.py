"""The units of an upscaling: a flux with what is left out, of one lane a member."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from phloem.analysis.upscaling.flux_rows import FluxRows
from phloem.analysis.upscaling.leave_out import LeftOut, leave_out
from phloem.analysis.upscaling.member_model import Prepared, prepare
from phloem.errors import InputError, some
from phloem.io.files.atomic import checksum, read_bytes
from phloem.io.flux_towers.cf_tower_table import read_tower_table, write_tower_table
from phloem.io.flux_towers.quality_rules import GoodMonths, flux_rows
from phloem.io.flux_towers.tower_quantities import FLUXES
from phloem.jobs.campaign.campaign import Campaign, relative_to_campaign
from phloem.jobs.campaign.kind_of_work import CheckedInput, Units
from phloem.jobs.campaign.unit_table import NEEDED, PlannedUnit, UnitTable
from phloem.jobs.config.campaign_file import Configuration
from phloem.jobs.config.paths import expand_path
from phloem.jobs.synthetic.flux_towers import made_towers
from phloem.jobs.upscaling.interval_places import check_places
from phloem.jobs.upscaling.table import UpscalingTable

NOTHING = "all"
"""Scheme of the models that are fitted to everything: those that maps are made by."""

JOINT = "joint"
"""In a unit's name, all fluxes together: those of a network."""

LEAST_ROWS = 24
"""Months of a flux that a model is fitted to, at least."""


def table_of(configuration: Configuration) -> UpscalingTable:
    """Return the table of an upscaling.

    Raises:
        InputError: it is none.
    """
    if not isinstance(configuration.experiment, UpscalingTable):
        raise InputError(f'experiment.name = "{configuration.experiment.name}" models no tower fluxes')
    return configuration.experiment


def unit_name(scheme: str, left_out: str, flux: str) -> str:
    """Return the name of a unit, as tower:US-Var:gpp."""
    return f"{scheme}:{left_out}:{flux}"


@dataclass(frozen=True)
class UnitName:
    """What a unit is about.

    Attributes:
        scheme: of `SCHEMES`, or `all` where nothing is left out.
        left_out: name of what is left out.
        flux: of `FLUXES`, or `joint`.
    """

    scheme: str
    left_out: str
    flux: str

    @classmethod
    def of(cls, name: str) -> UnitName:
        """Read the name of a unit."""
        scheme, _, rest = name.partition(":")
        left_out, _, flux = rest.rpartition(":")
        return cls(scheme, left_out, flux)


@dataclass(frozen=True, eq=False)
class TowerData:
    """The months of towers that count, with everything that all units share.

    Attributes:
        good: what quality control has left, and what it has dropped.
        rows: the same as rows of fluxes.
        prepared: conditions and baselines of the rows.
        left_out: what each scheme leaves out together.
    """

    good: GoodMonths
    rows: FluxRows
    prepared: Prepared
    left_out: dict[str, LeftOut]

    def held(self, unit: UnitName) -> np.ndarray:
        """Return which rows a unit leaves out, bool (rows,)."""
        if unit.scheme == NOTHING:
            return np.zeros(len(self.rows), bool)
        left_out = self.left_out[unit.scheme]
        return np.asarray(left_out.fold == left_out.names.index(unit.left_out))


@dataclass(frozen=True, eq=False)
class FitInput:
    """What the models of one unit are fitted to.

    Attributes:
        name: of the unit.
        about: the same, read.
        data: of all units.
    """

    name: str
    about: UnitName
    data: TowerData


def read_towers(path: Path, table: UpscalingTable, seed: int) -> TowerData:
    """Read a table of tower months, and prepare what all units share.

    Args:
        path: of the table.
        table: of the upscaling.
        seed: of the campaign.

    Raises:
        InputError: the table is damaged, lacks what is asked for, or nothing of it is good enough.
    """
    good = flux_rows(read_tower_table(path), table.quality.rules())
    rows = FluxRows.of(good)
    left_out: dict[str, LeftOut] = {
        scheme: leave_out(rows, scheme, table.folds if scheme in ("row", "block") else 0, table.block_degrees, seed)
        for scheme in table.cv
    }
    return TowerData(good, rows, prepare(rows, table.settings()), left_out)


@lru_cache(maxsize=1)
def _read_once(root: str, path: str, digest: str, table: str, seed: int) -> TowerData:
    """Read a table, and prove it, once a process: all units of a tile and of the next share it."""
    _refuse_other(Path(path), digest, Path(root))
    return read_towers(Path(path), UpscalingTable.model_validate_json(table), seed)


def planned_data(campaign: Campaign) -> TowerData:
    """Read the towers of a campaign again.

    Raises:
        InputError: the table is not there, or not what it was when the campaign was planned.
    """
    unit, root = campaign.cells[0], campaign.paths.root
    table = table_of(campaign.configuration).model_dump_json()
    return _read_once(
        str(root), str(expand_path(unit.source, root)), unit.checksum, table, campaign.configuration.campaign.seed
    )


def _refuse_other(path: Path, planned: str, root: Path) -> None:
    if not path.is_file():
        raise InputError(f"{path}: the towers of {root} are not there; phloem run {root} --set data.path=NEW/PLACE.nc")
    digest = checksum(read_bytes(path))
    if digest != planned:
        raise InputError(
            f"{path}: this table is not the one over which the campaign was planned (sha256 {digest[:12]}, planned "
            f"{planned[:12]}). Put that table there, or start a new campaign with --out."
        )


@dataclass(frozen=True)
class CheckedTowers:
    """A table of towers to which all models can be fitted.

    Attributes:
        configuration: complete, its paths absolute.
        path: of the table.
        names: of the units.
        findings: what quality control said.
    """

    configuration: Configuration
    path: Path
    names: Sequence[str]
    findings: tuple[str, ...]

    def units(self, root: Path) -> Units:
        """Return the units, flux by flux."""
        source, digest = relative_to_campaign(self.path, root), checksum(read_bytes(self.path))
        planned = [PlannedUnit(name, source, digest) for name in self.names]
        planned[0] = PlannedUnit(planned[0].name, source, digest, findings=self.findings)
        return Units(UnitTable.of(planned, NEEDED))


@dataclass(frozen=True)
class MadeUpTowers:
    """Made-up towers, whose table is written into the campaign."""

    configuration: Configuration

    def units(self, root: Path) -> Units:
        """Write the table that is not there yet, and return the units."""
        path = root / "towers.nc"
        if not path.is_file():
            data = self.configuration.data
            write_tower_table(made_towers(data.cells, data.years, self.configuration.campaign.seed), path)
        return _checked(self.configuration, path).units(root)


def check_towers(configuration: Configuration, base: Path) -> CheckedInput:
    """Read and check a table of towers; see `KindOfWork.check`.

    Raises:
        InputError: what no model could be fitted to; nothing is computed.
    """
    table_of(configuration)
    if configuration.data.kind == "synthetic":
        return MadeUpTowers(configuration)
    path = expand_path(str(configuration.data.path), base)
    if path.is_dir():
        raise InputError(
            f"{path} is a folder; a table of tower months is due, as phloem ingest --what towers makes it of the files "
            "in it"
        )
    data = configuration.data.model_copy(update={"path": str(path)})
    return _checked(configuration.model_copy(update={"data": data}), path)


def _checked(configuration: Configuration, path: Path) -> CheckedTowers:
    table = table_of(configuration)
    data = read_towers(path, table, configuration.campaign.seed)
    names = _units(table, data)
    check_places(table, data.rows, data.left_out)
    return CheckedTowers(configuration, path, names, tuple(data.good.lines(table.fluxes)))


def _units(table: UpscalingTable, data: TowerData) -> list[str]:
    """Return the names of all units: of each scheme what it leaves out, and last the models of everything.

    Raises:
        InputError: a flux of which too few months are there.
    """
    fluxes: list[str] = [JOINT] if table.learner == "network" else list(table.fluxes)
    for asked in table.fluxes:
        count = int(np.isfinite(data.rows.observed[asked]).sum()) if asked in data.rows.observed else 0
        if count < LEAST_ROWS:
            known = {name: np.isfinite(values).sum() for name, values in data.rows.observed.items()}
            there = [name for name in FLUXES if known.get(name, 0) >= LEAST_ROWS]
            raise InputError(
                f"{FLUXES[asked]}: {count} months are good enough, and at least {LEAST_ROWS} are due; leave it out of "
                f"experiment.fluxes, which could have {some(there) or 'none'}, or ask less of experiment.quality"
            )
        _refuse_without_baseline(table, data, asked)
    names = []
    for scheme in table.cv:
        left_out = data.left_out[scheme]
        if len(left_out.names) < 2:
            raise InputError(
                f'experiment.cv "{scheme}": the table has one part only ({some(left_out.names)}): nothing would be '
                "left to fit"
            )
        for flux in fluxes:
            named: Sequence[str] = table.fluxes if flux == JOINT else [flux]
            known = np.any([np.isfinite(data.rows.observed[one]) for one in named], axis=0)
            names += [
                unit_name(scheme, name, flux)
                for number, name in enumerate(left_out.names)
                if (known & (left_out.fold == number)).any()
            ]
    return [*names, *(unit_name(NOTHING, "none", flux) for flux in fluxes)]


def _refuse_without_baseline(table: UpscalingTable, data: TowerData, flux: str) -> None:
    """Refuse residuals of a baseline that has no value anywhere.

    Raises:
        InputError: the flux, and what is missing.
    """
    if table.learn == ["direct"]:
        return
    reco = data.rows.observed.get("reco")
    if flux in ("reco", "nee") and (reco is None or np.isfinite(reco).sum() < LEAST_ROWS):
        raise InputError(
            f"{FLUXES[flux]}: its baseline is fitted to RECO, of which the table has no {LEAST_ROWS} months that "
            'count; learn = "direct", or leave it out of experiment.fluxes'
        )
    named = {"gpp": ["gpp"], "reco": [], "nee": ["gpp"], "le": ["le"]}[flux]
    parts = [data.prepared.fixed[name] for name in named] or [data.prepared.factor]
    value = np.all([np.isfinite(part) for part in parts], axis=0)
    if not (value & np.isfinite(data.rows.observed[flux])).any():
        raise InputError(
            f"{FLUXES[flux]}: its baseline has no value in any month that counts (of LAI, NDVI or FAPAR, of CO2, VPD "
            'or SWIN nothing is there); learn = "direct", or leave it out of experiment.fluxes'
        )


def moved_towers(campaign: Campaign, wanted: Configuration, base: Path) -> Units | None:
    """Return the units with their table in another place; None where it is where it was.

    Raises:
        InputError: the table there is another.
    """
    if wanted.data.kind == "synthetic":
        MadeUpTowers(wanted).units(campaign.paths.root)
        return None
    path = expand_path(str(wanted.data.path), base)
    if path == expand_path(str(campaign.configuration.data.path), campaign.paths.root):
        return None
    _refuse_other(path, campaign.cells[0].checksum, campaign.paths.root)
    findings = tuple(campaign.cells.findings.get("0", ()))
    return CheckedTowers(wanted, path, campaign.cells.names, findings).units(campaign.paths.root)


def read_fit(campaign: Campaign, unit: PlannedUnit) -> FitInput:
    """Read what the models of a unit are fitted to.

    Raises:
        InputError: the table is not what it was when the campaign was planned.
    """
    return FitInput(unit.name, UnitName.of(unit.name), planned_data(campaign))
