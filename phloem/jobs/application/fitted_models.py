"""Fitted models of fluxes as an application finds them: opened once a process, known by a checksum."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from pathlib import Path

from phloem.analysis.upscaling.applied import FittedFluxes
from phloem.errors import InputError, WorkError
from phloem.io.files.atomic import checksum
from phloem.jobs.campaign.campaign import is_campaign, open_campaign

OF_CAMPAIGN = f"{__name__}:open_fitted"
"""Opener of the models of a campaign of this program."""


def open_fitted(directory: Path) -> FittedFluxes:
    """Return the models of a merged campaign.

    Raises:
        InputError: no campaign, or one that has no models of fluxes.
        WorkError: it is not merged.
    """
    campaign = open_campaign(directory)
    return campaign.kind.fitted_fluxes(campaign)


@lru_cache(maxsize=1)
def fitted_models(directory: str, opener: str) -> FittedFluxes:
    """Return the models of a directory, read once a process.

    Args:
        directory: of the models.
        opener: `module:function`.
    """
    module, _, name = opener.partition(":")
    found: FittedFluxes = getattr(import_module(module), name)(Path(directory))
    return found


def models_checksum(directory: Path) -> str:
    """Return the checksum of what models are read from: a campaign's product, else all files of the directory.

    Raises:
        InputError: no such directory.
        WorkError: the campaign is not merged.
    """
    if not directory.is_dir():
        raise InputError(f"{directory}: no such directory")
    if is_campaign(directory):
        merged = open_campaign(directory).paths.merged
        if not merged.is_file():
            raise WorkError(f"{directory}: not merged yet: run `phloem run {directory}`, or `phloem merge {directory}`")
        return checksum(merged.read_bytes())
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return checksum("".join(f"{path.name} {checksum(path.read_bytes())}\n" for path in files).encode())
