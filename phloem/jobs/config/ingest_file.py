"""The ingest file: the products that make a driver store, read into a typed tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from phloem.errors import InputError
from phloem.io.drivers.store import STATICS
from phloem.io.files.own_variables import OwnVariable
from phloem.io.files.time_axis import StampsAt
from phloem.io.grids.placed_cells import DEFAULT_STEP
from phloem.io.products.catalogue import DEFAULT_KIND, PRODUCTS, Choice, Product, layer, product_of
from phloem.jobs.config.own_variables import Variables, own_variables
from phloem.jobs.config.paths import expand_path
from phloem.jobs.config.toml_file import load_toml
from phloem.typed_tables import Section

_NAME = r"^[a-z][a-z0-9_]*$"
_YEAR = Annotated[int, Field(ge=1000, le=9999)]

REQUIREMENTS = ("growth", "mature_forest")
"""What a cell may be required to have, beside complete forcing."""


class Region(Section):
    """Cells whose centres lie inside; west may be greater than east, for a region across 180 degrees."""

    south: Annotated[float, Field(ge=-90, le=90)] = -90.0
    north: Annotated[float, Field(ge=-90, le=90)] = 90.0
    west: Annotated[float, Field(ge=-180, le=180)] = -180.0
    east: Annotated[float, Field(ge=-180, le=180)] = 180.0

    @model_validator(mode="after")
    def _ordered(self) -> Region:
        if self.south >= self.north:
            raise ValueError("region.south must be less than region.north")
        return self


class StoreSection(Section):
    """The store: its years, its cells, and the memory in which it is made.

    `observed` are years in which observations must be complete; by default what the products have. `require` says
    which cells are left out: by default those without a growth curve, and without mature forest, where products for
    them are given.
    """

    years: Annotated[list[_YEAR], Field(min_length=2, max_length=2)]
    memory_gb: Annotated[float, Field(gt=0)] = 2.0
    cells_per_chunk: Annotated[int, Field(gt=0, le=1000)] = 12
    step: Annotated[float, Field(ge=0.05, le=10)] = DEFAULT_STEP
    ages: Annotated[int, Field(gt=0, le=1000)] = 107
    region: Region = Region()
    observed: Annotated[list[_YEAR], Field(min_length=2, max_length=2)] | None = None
    require: list[Literal["growth", "mature_forest"]] | None = None

    @field_validator("memory_gb", "step", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _fits(self) -> StoreSection:
        if self.years[0] > self.years[1]:
            raise ValueError(f"store.years must ascend, as [1985, 2020]; got {self.years}")
        if self.observed and not self.years[0] <= self.observed[0] <= self.observed[1] <= self.years[1]:
            raise ValueError(f"store.observed must ascend and lie inside store.years; got {self.observed}")
        if abs(round(180.0 / self.step) * self.step - 180.0) > 1e-9:
            raise ValueError(f"store.step must divide 180 degrees; got {self.step:g}")
        return self


class FilesSection(Section):
    """The files of one product, and what their variables are.

    `variable` is the file's own name of a product's only variable, `units` says what its values are where the file
    itself does not, or is wrong, and `sign` is -1 where they count the other way; `variables` says the same of several,
    as a name or as a table of name, units and sign.
    """

    path: str | Annotated[list[str], Field(min_length=1)]
    kind: str | None = None
    variable: str | None = None
    variables: Variables = Field(default_factory=dict)
    units: str = ""
    sign: Literal[1, -1] = 1


class ProductSection(FilesSection):
    """One product: its files, and what is not as published.

    `layers` takes layers along a further dimension by its coordinate; `stamps` says where stamps stand in their steps
    if the files have no time bounds.
    """

    layers: dict[str, int | float] = Field(default_factory=dict)
    stamps: StampsAt = "begin"


class IngestFile(Section):
    """An ingest file."""

    store: StoreSection
    products: dict[Annotated[str, Field(pattern=_NAME)], ProductSection]

    @model_validator(mode="after")
    def _complete(self) -> IngestFile:
        products = self.products
        for name in ("forcing", "co2"):
            if name not in products:
                raise ValueError(f"[products.{name}] is missing; a store needs forcing and co2")
        has_table = "growth" in products and _is_table(products["growth"].path)  # it may have a column of its own
        for name in ("growth", "agb"):
            if name in products and "root_shoot" not in products and not has_table:
                raise ValueError(f"[products.{name}] needs [products.root_shoot], to know the whole biomass")
        self._check_names()
        for wanted in self.required:
            product = "growth" if wanted == "growth" else "agb"
            if product not in products:
                raise ValueError(f"store.require has {wanted!r}, but there is no [products.{product}]")
        return self

    def _check_names(self) -> None:
        """Refuse layers that would stand in the place of another number of the cells."""
        seen: dict[str, str] = {}
        for table, section in self.products.items():
            if table in DEFAULT_KIND or table == "co2":
                continue
            for name in layer_names(table, section.layers):
                if name in STATICS:
                    raise ValueError(
                        f"[products.{table}]: a layer {name} would overwrite what the program itself keeps under that "
                        f"name; reserved are {', '.join(STATICS)}"
                    )
                if name in seen:
                    raise ValueError(f"[products.{table}] and [products.{seen[name]}] both give a layer {name}")
                seen[name] = table

    @property
    def required(self) -> tuple[str, ...]:
        """What a cell must have, beside complete forcing."""
        if self.store.require is not None:
            return tuple(self.store.require)
        return tuple(
            name for name, product in zip(REQUIREMENTS, ("growth", "agb"), strict=True) if product in self.products
        )

    @property
    def content(self) -> dict[str, Any]:
        """What a store's content or form depends on: not the memory, not the place of the files."""
        tree = self.model_dump(exclude={"store": {"memory_gb"}})
        for product in tree["products"].values():
            del product["path"]
            if product["stamps"] == "begin":
                del product["stamps"]  # which stores were begun without
            if product["sign"] == 1:
                del product["sign"]  # likewise
            product["variables"] = {
                key: one["name"] if (one["units"], one["sign"]) == ("", 1) else one
                for key, one in product["variables"].items()
            }
        return tree


def layer_names(table: str, layers: Mapping[str, float]) -> list[str]:
    """Return the names of the numbers that a table of a user's own layers gives a cell."""
    return [f"{table}_{part}" for part in layers] or [table]


def _is_table(path: str | Sequence[str]) -> bool:
    return isinstance(path, str) and path.lower().endswith((".csv", ".txt"))


def choices(file: IngestFile, base: Path) -> dict[str, Choice]:
    """Return the products to be read, by the name of their table; CO2 and growth tables are not among them.

    Args:
        file: the ingest file.
        base: folder from which its relative paths count.

    Raises:
        InputError: an unknown kind or variable; the valid ones are named.
    """
    chosen = {}
    for name, section in file.products.items():
        if name == "co2" or (name == "growth" and _is_table(section.path)):
            continue
        chosen[name] = _choice(name, section, base)
    return chosen


def paths_of(section: FilesSection, base: Path) -> tuple[str, ...]:
    """Return the files or globs of a product, absolute."""
    given = [section.path] if isinstance(section.path, str) else section.path
    return tuple(str(expand_path(text, base)) for text in given)


def _choice(name: str, section: ProductSection, base: Path) -> Choice:
    patterns = paths_of(section, base)
    default = DEFAULT_KIND.get(name, "layer")
    kind = section.kind or default
    if kind == "layer" and default == "layer":
        names = layer_names(name, section.layers)
        levels = dict(zip(names, map(float, section.layers.values()), strict=False))
        variable = section.variable or name
        own_layer = layer(name, variable)
        variable_of_product = next(iter(own_layer.fields.values()))
        several = replace(own_layer, fields=dict.fromkeys(names, variable_of_product))
        own = dict.fromkeys(names, section.variable or "")
        units, signs = dict.fromkeys(names, section.units), dict.fromkeys(names, section.sign)
        return Choice(name, several, patterns, own, units, signs, levels, section.stamps)
    product = product_of(kind, name)
    if product is None:
        valid = [key for key, one in PRODUCTS.items() if name in one.gives]
        raise InputError(f"[products.{name}]: kind = {kind!r}; valid are {', '.join(valid) or 'none'}")
    if section.layers:
        raise InputError(f"[products.{name}]: layers go with static layers of your own, such as [products.pft]")
    return choice_of(name, product, patterns, section, section.stamps)


def choice_of(
    name: str, product: Product, patterns: tuple[str, ...], section: FilesSection, stamps: StampsAt
) -> Choice:
    """Return the choice of a product whose variables are known.

    Args:
        name: of the table.
        product: its kind.
        patterns: its files or globs, absolute.
        section: the table.
        stamps: where stamps stand.

    Raises:
        InputError: something is said of a variable that it does not have.
    """
    fields = product.fields
    unknown = sorted(set(section.variables) - set(fields))
    if unknown:
        raise InputError(f"[products.{name}]: variables.{unknown[0]} is unknown; valid are {', '.join(fields)}")
    said = own_variables(section.variables)
    if section.variable or section.units or section.sign != 1:
        if len(fields) != 1:
            key = next(iter(fields))
            raise InputError(
                f"[products.{name}]: several variables: write "
                f'variables.{key} = {{ name = "...", units = "...", sign = 1 }} of each'
            )
        said[next(iter(fields))] = OwnVariable(section.variable or "", section.units, section.sign)
    return Choice(
        name,
        product,
        patterns,
        variables={key: one.name for key, one in said.items() if one.name},
        units={key: one.units for key, one in said.items() if one.units},
        signs={key: one.sign for key, one in said.items()},
        stamps=stamps,
    )


def load_ingest_file(path: Path) -> IngestFile:
    """Read an ingest file.

    Raises:
        InputError: unreadable file, unknown key (the valid ones are named), bad value.
    """
    return load_toml(path, IngestFile, "ingest file")
