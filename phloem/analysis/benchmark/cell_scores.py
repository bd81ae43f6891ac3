"""Scores of simulated against reference values over cells, and derived quantities of a parameter set."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True)
class Scores:
    """Scores of simulated values against a reference over common cells.

    Attributes:
        cells: number of them.
        rmse: root mean squared difference.
        r2_pearson: squared correlation, NaN where either is constant.
        r2_explained: 1 - SSE / SST about the reference's mean.
        pbias: 100 (mean simulated - mean reference) / mean reference, per cent.
        relative: mean of the relative differences of the cells, per cent.
    """

    cells: int
    rmse: float
    r2_pearson: float
    r2_explained: float
    pbias: float
    relative: float

    def to_json(self) -> dict[str, float | None]:
        """Return the numbers, None in place of NaN."""
        return {key: None if value != value else value for key, value in asdict(self).items()}


def scores(simulated: np.ndarray, reference: np.ndarray) -> Scores:
    """Compare two sets of values where both are finite (docs/benchmark.md#metrics).

    Args:
        simulated: any shape.
        reference: of the same shape, in the same unit.
    """
    both = np.isfinite(simulated) & np.isfinite(reference)
    x, y = np.asarray(simulated, float)[both], np.asarray(reference, float)[both]
    if not len(x):
        return Scores(0, *[float("nan")] * 5)
    squares, spread = ((x - y) ** 2).sum(), ((y - y.mean()) ** 2).sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        varied = len(x) > 1 and x.std() > 0 and y.std() > 0
        return Scores(
            cells=len(x),
            rmse=float(np.sqrt(squares / len(x))),
            r2_pearson=float(np.corrcoef(x, y)[0, 1] ** 2) if varied else float("nan"),
            r2_explained=float(1 - squares / spread) if spread > 0 else float("nan"),
            pbias=float(100 * (x.mean() - y.mean()) / y.mean()),
            relative=float(100 * np.mean((x - y) / y)),
        )
