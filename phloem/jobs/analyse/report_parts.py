"""Attribution and benchmark of a campaign, made once before its report is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from phloem.errors import InputError, WorkError
from phloem.jobs.campaign.campaign_set import find_campaigns, open_campaigns
from phloem.jobs.progress import say


def see_to_parts(directory: Path) -> None:
    """Attribute and benchmark a directory with the defaults where that has not been done; merge first if need be.

    What is there stays, whoever made it with whatever file; where it is older than the product, that is said. What
    cannot be done is said in words and does not keep the page from being written.

    Args:
        directory: of a campaign, or of the three experiments.

    Raises:
        WorkError: tiles without result.
    """
    from phloem.jobs.analyse.attribute import run_attribute
    from phloem.jobs.analyse.benchmark import benchmark

    if not find_campaigns(directory):
        return
    campaign_set = open_campaigns(directory)
    campaign_set.see_to_products()
    roots = [one.paths.root for one in campaign_set.campaigns]
    for root in roots:
        see_to_part(root, [root], "attribution", "attribute", run_attribute)
    see_to_part(directory, roots, "benchmark", "benchmark", benchmark)


def see_to_part(directory: Path, roots: Sequence[Path], part: str, verb: str, make: Callable[[Path], Any]) -> None:
    """Make a part of a page where it is not there; say why it cannot be made, or that it is older than the product.

    Args:
        directory: in which its folder is.
        roots: campaigns whose products it is made of.
        part: its folder, and the name of the JSON in it.
        verb: the command that writes it.
        make: writes it, with the defaults.
    """
    result = directory / part / f"{part}.json"
    if not result.exists():
        try:
            make(directory)
        except (InputError, WorkError) as error:
            say(f"{directory}: no {part}: {error}")
        return
    for merged in (root / "merged.nc" for root in roots):
        if merged.exists() and result.stat().st_mtime < merged.stat().st_mtime:
            say(f"{result} is older than {merged}; `phloem {verb} {directory}` writes it anew")
            return
