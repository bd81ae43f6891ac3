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
) -> None:
    """Write DIR/report/index.html, one page that opens in any browser without a network, with its figures and data.

    Example: phloem report campaigns/fluxnet
    """
    from phloem.jobs.analyse.report import report as write

    print(write(directory, as_is))
