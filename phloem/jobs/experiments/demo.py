"""The demo: the whole path on data made here."""

from __future__ import annotations

from pathlib import Path

from phloem.jobs.config.toml_file import TEMPLATES
from phloem.jobs.experiments.three_experiments import describe, run_experiments
from phloem.jobs.progress import say

CAMPAIGN = TEMPLATES / "demo.toml"


def run_demo(out: Path, workers: int = 0) -> tuple[list[str], Path]:
    """Make a synthetic boreal domain, run the three experiments over it, compare them; an interrupted demo goes on.

    Args:
        out: directory of the campaigns and of what they come to.
        workers: processes; 0: one a core.

    Returns:
        What came out, in lines for people, and the page.
    """
    say(
        "demo: 24 made-up boreal cells x 5 members, fitted to fluxes and leaf area alone, with one value of biomass, "
        "and against growth curves over 107 years; then all run 100 years. The truth is known"
    )
    summary = run_experiments(CAMPAIGN, out, [], workers=workers, real_places=False)
    return describe(summary), Path(summary["page"])
