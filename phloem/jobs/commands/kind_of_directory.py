"""The kind of work of the campaigns in a directory, which commands ask what they leave to it."""

from __future__ import annotations

from pathlib import Path

from phloem.jobs.campaign.campaign_set import open_campaigns
from phloem.jobs.campaign.kind_of_work import KindOfWork, kind_of, template_of
from phloem.jobs.config.toml_file import TEMPLATES, copy_template

DEFAULT = "calibration"
"""Kind whose commented files are written where no campaign is named."""


def kind_of_directory(directory: Path) -> KindOfWork:
    """Return the kind of work of a campaign, or of those that stand side by side.

    Raises:
        InputError: there is none.
    """
    return open_campaigns(directory).last.kind


def copy_kind_template(directory: Path | None, command: str, path: Path) -> Path:
    """Write the commented file of a command to start from, of a campaign's kind of work.

    Args:
        directory: of a campaign; None: the file of calibrations.
        command: `benchmark` or `attribute`.
        path: where; it is not there yet.

    Raises:
        InputError: no campaign there, a kind without such a file, or a place that cannot be written to.
    """
    kind = kind_of(DEFAULT) if directory is None else kind_of_directory(directory)
    return copy_template(TEMPLATES / template_of(kind, command), path)
