"""Shared parts of the report: facts of a campaign, sections, and the templates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from phloem.analysis.style.wording import duration
from phloem.errors import InputError, WorkError

TEMPLATES = Path(__file__).parent / "templates"

SCRIPTS = (
    "numbers", "layers", "scales", "map_panel", "maps", "pointing", "cell_panel", "cell_table", "sections",
)  # fmt: skip
"""The page's script, in this order."""


@contextmanager
def refuse_malformed(path: Path, command: str) -> Iterator[None]:
    """Refuse a file whose contents turn out to have another shape than its command gives them; name that command.

    Args:
        path: DIR/command/command.json, as it was read.
        command: of phloem, which writes it.

    Raises:
        WorkError: something was not there, or of another kind.
    """
    try:
        yield
    except InputError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise WorkError(
            f"{path} is not what `phloem {command} {path.parent.parent}` writes ({type(error).__name__}: {error})"
        ) from error


@dataclass(frozen=True)
class CampaignFacts:
    """Facts of a campaign besides its results.

    Attributes:
        name, version, configuration_hash, seed, members, optimiser: As in the campaign's files.
        wall_seconds: Time that its tiles took, or None where it was not recorded.
        events: Name -> count (attempts, redraws, ...).
        configuration_text: The frozen campaign file.
        truth: Cell -> parameter -> value for a synthetic campaign, else None.
        experiment: Name of the experiment.
        hours: How attempts ended -> hours of workers that they took.
        failures: Failure class -> attempts, tiles and the command that mends it.
        set_aside: Cells that were given up: cell, class and message of each.
        versions: Name -> version of what computed or wrote this.
        computed_on: GPUs and other devices that computed its tiles; empty where none was a GPU.
    """

    name: str
    version: str
    configuration_hash: str
    seed: int
    members: int
    optimiser: str
    wall_seconds: float | None
    events: Mapping[str, int]
    configuration_text: str
    truth: Mapping[str, Mapping[str, float]] | None = None
    experiment: str = "site"
    hours: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    set_aside: Sequence[Mapping[str, Any]] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    computed_on: str = ""


@dataclass(frozen=True)
class ReportSection:
    """One part of the page.

    Attributes:
        anchor: Its identifier.
        title: Its heading, and its line in the table of contents.
        body: Its content.
        warn: Whether the table of contents marks it.
        bare: Whether its content comes without a frame.
    """

    anchor: str
    title: str
    body: Markup
    warn: bool = False
    bare: bool = False


Found = tuple[Path, Mapping[str, Any]] | None
"""Folder of what a command has left, and its JSON; None where it has not run."""


@dataclass(frozen=True, eq=False)
class SummaryTile:
    """A number with what it counts.

    Attributes:
        text: the number.
        words: what it counts.
        warn: whether something is amiss.
    """

    text: str
    words: str
    warn: bool = False


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["svg"] = Markup
    environment.filters["code"] = lambda text: Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))
    environment.globals["asset"] = lambda name: Markup((TEMPLATES / name).read_text(encoding="utf-8"))
    environment.globals["scripts"] = SCRIPTS
    return environment


def render(template: str, **values: Any) -> Markup:
    """Render a template of the report."""
    return Markup(_environment().get_template(template).render(**values))


def picture_part(
    title: str, note: str, pictures: Sequence[Markup | None], is_open: bool = True, table: Markup | None = None
) -> dict[str, Any]:
    """Return a part of a section of pictures, which can be folded where it has a title.

    Args:
        title: of the fold; empty: none.
        note: above the pictures.
        pictures: those that are there.
        is_open: whether the fold is.
        table: below the pictures.
    """
    return {"title": title, "note": note, "pictures": [one for one in pictures if one], "open": is_open, "table": table}


def pictures_section(
    anchor: str, title: str, lines: Sequence[str], parts: Sequence[Mapping[str, Any]], warn: bool = False
) -> ReportSection:
    """Return a section of pictures.

    Args:
        anchor: its identifier.
        title: its heading.
        lines: paragraphs above the pictures.
        parts: of `picture_part`; those with neither pictures nor a table are left out.
        warn: whether the table of contents marks it.
    """
    there = [one for one in parts if one["pictures"] or one["table"]]
    return ReportSection(anchor, title, render("pictures.html", lines=lines, parts=there), warn=warn)


def facts_section(facts: CampaignFacts) -> ReportSection:
    """Return the section of a single campaign's facts."""
    body = render(
        "facts.html",
        campaigns=[(facts, duration(facts.wall_seconds))],
        events=sorted(facts.events),
        endings=sorted(facts.hours),
        versions=sorted(facts.versions),
    )
    return ReportSection("facts", "Campaign facts", body)


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[object]], left: int = 1) -> Markup:
    """Return a table that scrolls where it is wide.

    Args:
        columns: its heads.
        rows: texts.
        left: columns that are aligned to the left; the first stays where it is while the others scroll.
    """
    return render("plain_table.html", columns=columns, rows=rows, left=left)
