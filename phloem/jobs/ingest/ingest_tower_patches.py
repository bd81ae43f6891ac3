"""`phloem ingest --what tower-patches`: a patch store of towers, from monthly fluxes and predictors."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from phloem.io.clustered_towers.tower_patches import TowerPatches, tower_patches
from phloem.io.clustered_towers.tower_predictors import read_site_predictors
from phloem.io.ingest.ingest_folder import stamp
from phloem.io.monthly.monthly_cells import monthly_cells
from phloem.io.monthly.several_files import monthly_paths, read_monthly_files
from phloem.io.patches.patch_ingest import begun_ingest
from phloem.jobs.config.own_variables import own_variables
from phloem.jobs.config.tower_patches_file import TowerPatchesFile
from phloem.jobs.ingest.import_published import ImportedPatches


def ingest_tower_patches(file: TowerPatchesFile, base: Path, out: Path) -> ImportedPatches:
    """Make a patch store of towers; begun again after an interruption, it makes the same.

    Args:
        file: where the data are, and what is taken of them.
        base: folder from which its relative paths count.
        out: folder of the store.

    Raises:
        InputError: a file is not what it should be, no tower is left, or the folder holds something else.
        WorkError: another ingest is at work in the folder.
    """
    paths, predictors = monthly_paths(file.source(base)), file.predictors_path(base)
    content = {"what": "tower-patches", **file.model_dump(exclude={"path", "predictors"})}
    plan = {"content": content, "inputs": stamp([path.resolve() for path in (*paths, predictors)])}
    cells = monthly_cells(read_monthly_files(paths, file.stamps, own_variables(file.variables)))
    towers = tower_patches(cells, read_site_predictors(predictors, file.plant_types), file.rules)
    with begun_ingest(out, plan) as ingest:
        done = ingest.done()
        for patch, corner in towers.patches():
            if patch.name not in done:
                ingest.commit(patch, patch.name, corner)
        store = ingest.seal(_facts(towers, file, [*paths, predictors]))
        ingest.folder.write_dropped(towers.dropped)
        finished = ImportedPatches(store, (*_said_of(towers), *towers.notes))
        ingest.folder.say(finished.lines())
    return finished


def _facts(towers: TowerPatches, file: TowerPatchesFile, paths: list[Path]) -> dict[str, Any]:
    monthly = towers.monthly
    return {
        "step": None,
        "box": None,
        "first_month": f"{monthly.first_year:04d}-01",
        "months": len(monthly.lengths),
        "co2": towers.co2.tolist(),
        "rows": towers.rows,
        "sources": {"layout": "towers", "files": [str(path.resolve()) for path in paths]},
        **file.model_dump(include={"plant_types", "within_km", "withheld", "least_months"}),
        "left_out": dict(Counter(reason for *_, reason, _ in towers.dropped)),
    }


def _said_of(towers: TowerPatches) -> list[str]:
    left = Counter(reason for *_, reason, _ in towers.dropped)
    return [
        f"{len(towers.places)} of {len(towers.monthly.names)} towers; the largest patch has {towers.rows}",
        *(f"left out: {count} towers: {reason}" for reason, count in left.items()),
    ]
