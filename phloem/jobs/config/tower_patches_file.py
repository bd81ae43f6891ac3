"""The ingest file of a patch store of towers: monthly fluxes, predictors, and how towers become patches."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from phloem.errors import InputError
from phloem.io.clustered_towers.tower_patches import TOWER_LABELS, TowerRules
from phloem.jobs.config.monthly_file import MonthlyFile
from phloem.jobs.config.paths import expand_path
from phloem.jobs.config.toml_file import load_toml
from phloem.typed_tables import Above

TowerLabel = Literal["tower_gpp", "tower_reco", "tower_et", "lai", "biomass", "soil_carbon"]


class TowerPatchesFile(MonthlyFile):
    """An ingest file of towers as patches.

    `path`, `stamps` and `variables` are those of monthly drivers; `predictors` is a CF file of one value a site;
    `plant_types` says whose they are, the grid cell's or the tower's own; towers within `within_km` of each other are
    one patch; `withheld` says whether values that the file withholds (`*_val`) are labels; a tower needs `least_months`
    months with any flux; `labels` are the streams that are taken.
    """

    predictors: str
    plant_types: Literal["cell", "tower"] = "cell"
    within_km: Above = 100.0
    withheld: Literal["leave_out", "take"] = "leave_out"
    least_months: Annotated[int, Field(ge=1)] = 12
    labels: Annotated[list[TowerLabel], Field(min_length=1)] = Field(default_factory=lambda: list(TOWER_LABELS))  # type: ignore[arg-type]

    @property
    def rules(self) -> TowerRules:
        """What is taken of the towers."""
        return TowerRules(tuple(self.labels), self.withheld == "take", self.least_months, self.within_km)

    def predictors_path(self, base: Path) -> Path:
        """Return the file of predictors; a relative path counts from `base`.

        Raises:
            InputError: it is not there.
        """
        path = expand_path(self.predictors, base)
        if not path.is_file():
            raise InputError(f"predictors = {self.predictors!r}: no file {path}")
        return path


def load_tower_patches_file(path: Path) -> TowerPatchesFile:
    """Read an ingest file of towers as patches.

    Raises:
        InputError: unreadable file, unknown key (the valid ones are named), bad value.
    """
    return load_toml(path, TowerPatchesFile, "ingest file")
