"""`phloem.open_campaign`: a campaign, or the experiments side by side, from where they lie."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from phloem.errors import InputError
from phloem.jobs.campaign.campaign import Campaign, is_campaign
from phloem.jobs.campaign.campaign_set import open_campaigns
from phloem.jobs.notebook.campaign_status import summary_table
from phloem.jobs.notebook.opened_campaign import OpenedCampaign
from phloem.jobs.notebook.opened_training import opened


class OpenedExperiments(Mapping[str, OpenedCampaign]):
    """The campaigns of `phloem experiments`, by the names of their experiments.

    Example:
        >>> import phloem
        >>> experiments = phloem.open_campaign("campaigns/boreal")
        >>> list(experiments)
        ['baseline', 'single-year', 'growth-curve']
        >>> experiments["growth-curve"].cells.sizes["cell"]
        3
    """

    def __init__(self, directory: Path, campaigns: Sequence[Campaign]) -> None:
        self.directory = directory
        self._campaigns = {str(one.configuration.experiment.name): OpenedCampaign(one) for one in campaigns}

    def __getitem__(self, name: str) -> OpenedCampaign:
        return self._campaigns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._campaigns)

    def __len__(self) -> int:
        return len(self._campaigns)

    def __repr__(self) -> str:
        return f"<phloem.OpenedExperiments in {self.directory}: {', '.join(self)}>"

    def _repr_html_(self) -> str:
        return summary_table([one._campaign for one in self._campaigns.values()])


def open_campaign(path: str | os.PathLike[str]) -> OpenedCampaign | OpenedExperiments:
    """Open a campaign, or the experiments side by side.

    Args:
        path: directory of a campaign, planned, running or done; its merged.nc; or the directory of `phloem
            experiments`.

    Returns:
        The campaign; of experiments, a mapping of campaigns by the names of the experiments.

    Raises:
        InputError: there is no campaign, or it is damaged or of another version.

    Example:
        >>> import phloem
        >>> phloem.open_campaign("campaigns/transect")
        <phloem.OpenedCampaign transect in campaigns/transect: site, 2 cells>
    """
    given = Path(path).expanduser()
    root = given.parent if given.is_file() else given
    if given.is_file() and not is_campaign(root):
        raise InputError(
            f"{given}: no campaign beside it (no plan.json); open the directory of the campaign, or read the file "
            f'alone with xarray.open_dataset("{given}")'
        )
    found = open_campaigns(root)
    if is_campaign(root):
        return opened(found.last)
    return OpenedExperiments(root, found.campaigns)
