"""Names of the monthly model in files: those of the public code, in its order."""

from __future__ import annotations

from pathlib import Path

from phloem.kernels.models.dalec_monthly.file_names import OUTPUT_QUANTITIES, TABLES
from phloem.kernels.models.dalec_monthly.parameters import UNKNOWNS
from phloem.kernels.models.dalec_monthly.records import OUTPUTS
from tests.support.kernels.global_oracle import arrays


def test_names_of_files_are_those_of_the_public_code(data_dir: Path) -> None:
    gold = arrays(data_dir / "oracle/global_cells.nc", "quantity", "output")
    assert list(TABLES.unknown_names) == [str(name) for name in gold["quantity"]]
    assert [one.name for one in OUTPUT_QUANTITIES.values()] == [str(name) for name in gold["output"]]


def test_names_of_files_are_of_all_outputs_and_quantities_of_the_model() -> None:
    assert tuple(OUTPUT_QUANTITIES) == OUTPUTS
    assert [(one.lower, one.upper) for one in TABLES.unknowns] == [(one.lower, one.upper) for one in UNKNOWNS]
    assert all(one.unit and one.meaning for one in OUTPUT_QUANTITIES.values())
