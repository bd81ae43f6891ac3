"""The ingest file of a patch store: boxes, limits and the monthly products, read into a typed tree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from phloem.errors import InputError
from phloem.io.files.time_axis import StampsAt
from phloem.io.global_products.boxes import BoxGrid
from phloem.io.global_products.patch_catalogue import (
    FORCING_FIELDS,
    FORCING_PRODUCT,
    LATER,
    MAPS,
    MONTHLY,
    PLANT_TYPE_KINDS,
    SOIL_CARBON,
)
from phloem.io.global_products.patch_products import FORCING_TABLES
from phloem.io.global_products.tower_records import FLUXES
from phloem.io.global_products.valid_cells import Limits
from phloem.io.products.catalogue import MONTH, Choice, Product
from phloem.jobs.config.ingest_file import FilesSection, Region, choice_of, paths_of
from phloem.jobs.config.toml_file import load_toml
from phloem.typed_tables import Above, Section, Years

PlantType = Literal["NF", "DBF", "EBF", "MF", "SH", "SAV", "GRA", "WET", "CRO", "NVG"]
_PerCent = Annotated[float, Field(ge=0, le=100)]
_Part = Annotated[float, Field(ge=0, le=1)]

TOWER_KINDS = ("cf", "fluxnet")


def _float(value: Any) -> Any:
    """A whole number where a number is due."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


class PatchStoreSection(Section):
    """The store: its years, its cells and boxes (height and width in degrees), and the memory in which it is made."""

    years: Years
    step: Annotated[float, Field(ge=0.05, le=5)] = 0.25
    box: Annotated[list[Above], Field(min_length=2, max_length=2, default_factory=lambda: [4.0, 5.0])]
    memory_gb: Above = 4.0
    region: Region = Region()

    @field_validator("memory_gb", "step", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return _float(value)

    @field_validator("box", mode="before")
    @classmethod
    def _numbers(cls, value: Any) -> Any:
        return [_float(one) for one in value] if isinstance(value, list) else value

    @model_validator(mode="after")
    def _fits(self) -> PatchStoreSection:
        if self.years[0] > self.years[1]:
            raise ValueError(f"store.years must ascend, as [2001, 2023]; got {self.years}")
        for side, whole, what in ((self.box[0], 180.0, "height"), (self.box[1], 360.0, "width")):
            if abs(round(whole / side) * side - whole) > 1e-9:
                raise ValueError(f"store.box: the {what} must divide {whole:g} degrees; got {side:g}")
            if round(side / self.step) < 1 or abs(round(side / self.step) * self.step - side) > 1e-9:
                fits = ", ".join(f"{side / n:g}" for n in (1, 2, 4, 5, 8, 10, 16, 20) if side / n >= 0.05)
                raise ValueError(
                    f"store.step: {self.step:g} does not divide the {what} of a box, {side:g} degrees; as {fits} do"
                )
        return self


class ValidSection(Section):
    """What is valid; as of `valid_cells.Limits`."""

    water: _PerCent = 50.0
    non_vegetated: _PerCent = 20.0
    cells: _Part = 0.1
    coarse: _Part = 0.8
    tower_type: _PerCent = 25.0

    @field_validator("*", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return _float(value)

    @property
    def limits(self) -> Limits:
        """The same, as the readers take it."""
        return Limits(self.water, self.non_vegetated, self.cells, self.coarse, self.tower_type)


class PatchProductSection(FilesSection):
    """One product; `stamps` says where stamps stand in their months, if the files have no time bounds."""

    stamps: StampsAt | None = None
    herbaceous: list[PlantType] | None = None


class PatchesFile(Section):
    """An ingest file of a patch store."""

    store: PatchStoreSection
    valid: ValidSection = ValidSection()
    products: dict[str, PatchProductSection]

    @model_validator(mode="after")
    def _complete(self) -> PatchesFile:
        have = set(self.products)
        if unknown := sorted(have - set(TABLES)):
            raise ValueError(f"[products.{unknown[0]}] is unknown; valid are {', '.join(TABLES)}")
        for name, why in (
            ("co2", "of each month, from a table"),
            ("burned_area", "which is forcing"),
            ("pft", "land cover, which says which cells are valid"),
        ):
            if name not in have:
                raise ValueError(f"[products.{name}] is missing: {why}")
        if not have & {"forcing", *FORCING_TABLES}:
            raise ValueError("[products.forcing] is missing: the monthly weather")
        for name in sorted(have):
            if name.endswith(LATER) and name.removesuffix(LATER) not in have:
                raise ValueError(f"[products.{name}]: there is no [products.{name.removesuffix(LATER)}] before it")
            if self.products[name].herbaceous is not None and name != "gpp":
                raise ValueError(f"[products.{name}]: herbaceous goes with [products.gpp]")
        if len(have & {"canopy_height", "forest_age"}) == 1:
            raise ValueError(
                "[products.canopy_height] and [products.forest_age] are one group of predictors: both or none"
            )
        if "gpp" in have and "biomass" not in have:
            raise ValueError("[products.gpp] is that of which herbaceous biomass is made: [products.biomass] is due")
        return self

    @property
    def grid(self) -> BoxGrid:
        """Boxes and cells."""
        return BoxGrid(self.store.step, self.store.box[0], self.store.box[1])

    @property
    def herbaceous(self) -> tuple[str, ...]:
        """Plant types that are herbaceous."""
        chosen = self.products["gpp"].herbaceous if "gpp" in self.products else None
        return tuple(chosen) if chosen is not None else ("GRA", "CRO")

    @property
    def stamps(self) -> dict[str, str]:
        """What is said of the stamps of products, by table; those of which nothing is are left out."""
        return {name: one.stamps for name, one in self.products.items() if one.stamps is not None}

    @property
    def content(self) -> dict[str, Any]:
        """What a store depends on: not the memory, not the place of the files."""
        tree = self.model_dump(exclude={"store": {"memory_gb"}})
        for product in tree["products"].values():
            del product["path"]
        return tree


TABLES = (
    "forcing", "co2", "burned_area", f"burned_area{LATER}", "pft", *MAPS, "soil_carbon", "towers",
    *(name for one in MONTHLY if one != "burned_area" for name in (one, one + LATER)), *FORCING_TABLES,
)  # fmt: skip
"""Tables of products that there may be."""


def patch_choices(file: PatchesFile, base: Path) -> dict[str, Choice]:
    """Return the products that are read from grids, by table; co2 and towers are not among them.

    Args:
        file: the ingest file.
        base: folder from which its relative paths count.

    Raises:
        InputError: an unknown kind or variable; the valid ones are named.
    """
    found = {}
    for name, section in file.products.items():
        if name in ("co2", "towers"):
            continue
        product, chosen = _product(name, section), section
        if name == "pft" and (section.variable or section.units):
            one = {"name": section.variable or "", "units": section.units}
            keys = [key for key in product.fields if key != "water" or not section.variable]
            chosen = section.model_validate({"path": section.path, "variables": {key: dict(one) for key in keys}})
        found[name] = choice_of(name, product, paths_of(section, base), chosen, section.stamps or "begin")
    return found


def _product(name: str, section: PatchProductSection) -> Product:
    """The product of a table."""
    if name == "pft":
        kinds: Mapping[str, Product] = PLANT_TYPE_KINDS
    elif name == "forcing":
        kinds = {FORCING_PRODUCT.key: FORCING_PRODUCT}
    elif name in FORCING_TABLES:
        one = {name: FORCING_FIELDS[name]}
        kinds = {"monthly": Product("monthly", (name,), FORCING_PRODUCT.title, "*.nc", "", MONTH, one)}
    elif name == "soil_carbon":
        kinds = {SOIL_CARBON.key: SOIL_CARBON}
    else:
        known = MAPS.get(name) or MONTHLY[name.removesuffix(LATER)]
        kinds = {known.key: known}
    kind = section.kind or next(iter(kinds))
    if kind not in kinds:
        raise InputError(f"[products.{name}]: kind = {kind!r}; valid are {', '.join(kinds)}")
    return kinds[kind]


def check_towers(section: PatchProductSection) -> str:
    """Return the kind of a table of towers.

    Raises:
        InputError: an unknown kind or flux.
    """
    kind = section.kind or TOWER_KINDS[0]
    if kind not in TOWER_KINDS:
        raise InputError(f"[products.towers]: kind = {kind!r}; valid are {', '.join(TOWER_KINDS)}")
    if unknown := sorted(set(section.variables) - set(FLUXES.values())):
        raise InputError(f"[products.towers]: variables.{unknown[0]}; valid are {', '.join(FLUXES.values())}")
    return kind


def load_patches_file(path: Path) -> PatchesFile:
    """Read an ingest file of a patch store.

    Raises:
        InputError: unreadable file, unknown key (the valid ones are named), bad value.
    """
    return load_toml(path, PatchesFile, "ingest file")
