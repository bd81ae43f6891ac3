"""The command `phloem report`."""

from __future__ import annotations

from typing import Annotated

import typer

from phloem.jobs.commands.options import Directory


def report(
    directory: Directory,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Show what is there; else attribute and benchmark first what has not been.")
    ] = False,
    cells: Annotated[
        str,
        typer.Option(
            "--cells",
            metavar="NAME,NAME|all",
            help="Cells of a grid or monthly campaign whose time series are shown; else some from the worst fit to the "
            "best. The page of towers shows each of them.",
        ),
    ] = "",
) -> None:
    """Write DIR/report/index.html, one page that opens in any browser without a network, with its figures and data.

    Example: phloem report campaigns/fluxnet

    Example: phloem report campaigns/boreal --cells +52.25-076.75,+53.25-076.75
    """
    from phloem.jobs.analyse.report import report as write

    print(write(directory, as_is, [name.strip() for name in cells.split(",") if name.strip()]))
