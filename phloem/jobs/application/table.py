"""The [experiment] table of an application: whose models are applied, to which drivers, and where the product goes."""

from __future__ import annotations

from typing import ClassVar, Literal

from phloem.io.files.time_axis import StampsAt
from phloem.typed_tables import ExperimentTable


class ApplicationTable(ExperimentTable):
    """An application of fitted models of fluxes; `phloem apply` writes it, nobody by hand.

    Attributes:
        campaign: directory of the models, absolute.
        models: checksum of what they are read from.
        drivers: file, folder of files or driver store, absolute.
        static: file of numbers of the places, absolute; None: only those that the drivers bring.
        stamps: where stamps of months stand in files without time bounds.
        out: the file to write, absolute.
        spread: whether 5 and 95 % of the members are kept too.
        fluxes: of the models.
        needed: drivers without which they say nothing.
        seen: columns that their predictors are made of.
    """

    kind_of_work: ClassVar[str] = "application"
    names: ClassVar[tuple[str, ...]] = ("application",)

    name: Literal["application"] = "application"
    campaign: str
    models: str
    drivers: str
    static: str | None = None
    stamps: StampsAt = "begin"
    out: str
    spread: bool = False
    fluxes: list[str]
    needed: list[str]
    seen: list[str]
