"""One campaign, or the several of a directory that are compared: the input of most commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from phloem.errors import InputError, WorkError
from phloem.jobs.campaign.campaign import Campaign, is_campaign, open_campaign
from phloem.jobs.config.experiments import SIDE_BY_SIDE


@dataclass(frozen=True)
class CampaignSet:
    """Campaigns over the same cells.

    Attributes:
        directory: which holds them, or is the only one's.
        campaigns: one, or those of the experiments that stand side by side, in their order.
    """

    directory: Path
    campaigns: tuple[Campaign, ...]

    @property
    def several(self) -> bool:
        """Whether it is more than one campaign."""
        return len(self.campaigns) > 1

    @property
    def last(self) -> Campaign:
        """The campaign whose order of cells all of them take."""
        return self.campaigns[-1]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the experiments."""
        return tuple(str(one.configuration.experiment.name) for one in self.campaigns)

    @cached_property
    def cells(self) -> list[str]:
        """Cells that all campaigns have, in the order of the last one.

        Raises:
            InputError: none.
        """
        known = [set(one.cells.names) for one in self.campaigns]
        common = [name for name in self.last.cells.names if all(name in one for one in known)]
        if not common:
            counts = ", ".join(
                f"{len(names)} in {one.paths.root}" for names, one in zip(known, self.campaigns, strict=True)
            )
            raise InputError(f"the campaigns have no cell in common: {counts}; run them over one driver store")
        return common

    def refuse_other_drivers(self) -> None:
        """Refuse campaigns that read other drivers in the same cell.

        Raises:
            InputError: naming the first such cell.
        """
        sums = [dict(zip(one.cells.names, one.cells.columns["checksum"], strict=True)) for one in self.campaigns]
        for name in self.cells:
            if len({one[name] for one in sums}) > 1:
                raise InputError(f"cell {name}: the campaigns have different drivers; run them over one driver store")

    def see_to_products(self) -> None:
        """Merge what is not merged.

        Raises:
            WorkError: a tile has no result.
        """
        for one in self.campaigns:
            if not one.paths.merged.exists():
                one.kind.merge(one)

    def require_products(self) -> None:
        """Refuse campaigns that are not merged.

        Raises:
            WorkError: naming the first, and the command.
        """
        for one in self.campaigns:
            if not one.paths.merged.exists():
                raise WorkError(f"{one.paths.root} is not merged: phloem merge {one.paths.root}")


def find_campaigns(directory: Path) -> list[Path]:
    """Return the campaigns of a directory: itself, or the experiments side by side in it; none where there is none."""
    if is_campaign(directory):
        return [directory]
    return [directory / name for name in SIDE_BY_SIDE if is_campaign(directory / name)]


def open_campaigns(directory: Path) -> CampaignSet:
    """Open the campaign of a directory, or those of the experiments that stand side by side in it.

    Raises:
        InputError: there is none.
    """
    roots = find_campaigns(directory)
    if not roots:
        raise InputError(
            f"{directory}: no campaign here (no plan.json), nor the three experiments ({', '.join(SIDE_BY_SIDE)}); "
            "plan one with `phloem plan CAMPAIGN.toml`"
        )
    return together(directory, [open_campaign(root) for root in roots])


def together(directory: Path, campaigns: Sequence[Campaign]) -> CampaignSet:
    """Return campaigns that are open already as a set."""
    return CampaignSet(directory, tuple(campaigns))
