"""The page of the three experiments: one HTML file that needs no network."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from phloem.io.files.atomic import write_atomically
from phloem.model_tables import ModelTables

PUBLISHED = {"baseline": (138.7, 0.02), "single-year": (87.5, 0.35), "growth-curve": (11.3, 0.99)}
"""RMSE (Mg ha-1) and R2 of the biomass after 100 years in Wu et al. 2026."""


def write_page(path: Path, name: str, summary: Mapping[str, Any], tables: ModelTables, figures: Sequence[Path]) -> Path:
    """Write the page.

    Args:
        path: the file.
        name: of the campaign.
        summary: what `run_experiments` found.
        tables: of the model.
        figures: PNG files, which are put into the page.
    """
    loader = jinja2.FileSystemLoader(Path(__file__).parents[1] / "report" / "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["number"] = _number
    images = [(one.stem, base64.b64encode(one.read_bytes()).decode()) for one in figures]
    page = environment.get_template("experiments.html").render(
        name=name,
        found=summary,
        derived=tables.derived.quantities,
        streams=tables.streams,
        images=images,
        published=PUBLISHED,
    )
    write_atomically(path, page.encode())
    return path


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
