"""Fitted models of fluxes as an application finds them: opened once a process, known by a checksum."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from phloem.analysis.flux_maps.fitted_upscaling import FittedUpscaling
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.files.atomic import checksum
from phloem.jobs.campaign.campaign import open_campaign
from phloem.jobs.upscaling.fitted_file import open_fitted, require_models


def fitted_models(directory: str) -> FittedUpscaling:
    """Return the models of a merged campaign, read once a process while they stay as they are.

    Args:
        directory: of the campaign.

    Raises:
        InputError: no campaign, or one that fits no models of fluxes.
        WorkError: it is not merged.
    """
    path = CampaignPaths(Path(directory)).models
    state = path.stat() if path.is_file() else None
    return _read(directory, (state.st_size, state.st_mtime_ns) if state else ())


@lru_cache(maxsize=1)
def _read(directory: str, _as_of: tuple[int, ...]) -> FittedUpscaling:
    return open_fitted(open_campaign(Path(directory)))


def models_checksum(directory: Path) -> str:
    """Return the checksum of the file that holds a campaign's models.

    Raises:
        InputError: no campaign, or one that has no models that can be applied.
        WorkError: it is not merged.
    """
    return checksum(require_models(open_campaign(directory)).read_bytes())
