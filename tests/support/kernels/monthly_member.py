"""A member of the monthly model in the middle of its range: that of the golden month, by the names of files."""

from __future__ import annotations

from phloem.kernels.models.dalec_monthly.file_names import TABLES

PARAMETERS = (
    4e-4, 0.45, 0.12, 0.35, 1.6, 8e-5, 2e-3, 3e-3, 3e-5, 0.045, 18, 0.2, 45, 60, 60, 20, 900, 180, 0.4, 0.2, 0.1, 0.5,
    1.05, 0.3, 6, 0.03, 0.15, 12, 2.5, 0.001, 1e-5, 480, 640,
)  # fmt: skip
"""The 33, in the order of the network: the golden step of the specification."""

POOLS = (150.0, 90.0, 120.0, 4000.0, 300.0, 9000.0, 140.0)

MEMBER = dict(zip(TABLES.unknown_names, (*PARAMETERS, *POOLS), strict=True))
