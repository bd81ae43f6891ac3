"""Cells of stored patches in the form in which the kernels make patches of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from phloem.io.patches.stored_patch import StoredPatch
from phloem.kernels.models.dalec_monthly.forcing_terms import PUBLISHED_YEAR
from phloem.kernels.network.patch_cells import PatchCells
from phloem.names import PATCH_STREAMS, PERIOD

COUPLED = (*PATCH_STREAMS, "fire")
"""Streams that are compared as means of a patch: cells of several patches with one of them are no patch."""


def cells_of(patch: StoredPatch, co2: np.ndarray, mode: str = "strict", leave_out: Sequence[str] = ()) -> PatchCells:
    """Return the cells of a stored patch.

    Args:
        patch: of a store.
        co2: ppm, (months,).
        mode: `compat` has the public code's year of 365.22 days in the reference precipitation.
        leave_out: streams whose labels are not taken.
    """
    shape = patch.months, len(patch)

    def by_month(streams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Labels of a whole patch stand in all its cells, those of no month in all months."""
        kept = {name: values for name, values in streams.items() if name not in leave_out}
        return {
            name: np.broadcast_to(values[:, None] if name in PATCH_STREAMS else values, shape)
            for name, values in kept.items()
        }

    year = PUBLISHED_YEAR if mode == "compat" else PERIOD
    return PatchCells(
        latitude=patch.latitude,
        predictors={**patch.predictors, "latitude": patch.latitude, "longitude": patch.longitude},
        forcing={**patch.forcing, "co2": co2},
        reference=(patch.predictors["MAT"], patch.predictors["MAP"] / year),
        labels=by_month(patch.labels),
        weights=by_month(patch.weights),
    )


def cells_together(patches: Sequence[StoredPatch], co2: np.ndarray, mode: str = "strict") -> PatchCells:
    """Return the cells of several patches as those of one; their loss is the sum of the patches' losses.

    Args:
        patches: of a store, without labels of whole patches.
        co2: ppm, (months,).
        mode: as of `cells_of`.

    Raises:
        ValueError: a patch has labels of `COUPLED`, whose loss is no sum over cells.
    """
    coupled = sorted({stream for one in patches for stream in one.labels} & set(COUPLED))
    if coupled:
        raise ValueError(f"labels {', '.join(coupled)} are compared as means of a patch: take patch after patch")
    parts = [cells_of(one, co2, mode) for one in patches]
    streams = sorted({stream for one in parts for stream in one.labels})
    weighted = sorted({stream for one in parts for stream in one.weights})
    first = parts[0]

    def side_by_side(stream: str, kind: str, absent: float) -> np.ndarray:
        found = []
        for one, patch in zip(parts, patches, strict=True):
            values = getattr(one, kind).get(stream)
            found.append(np.full((patch.months, len(one)), absent) if values is None else values)
        return np.concatenate(found, 1)

    return PatchCells(
        latitude=np.concatenate([one.latitude for one in parts]),
        predictors={name: np.concatenate([one.predictors[name] for one in parts]) for name in first.predictors},
        forcing={
            name: values if name == "co2" else np.concatenate([one.forcing[name] for one in parts], 1)
            for name, values in first.forcing.items()
        },
        reference=(
            np.concatenate([one.reference[0] for one in parts]),
            np.concatenate([one.reference[1] for one in parts]),
        ),
        labels={stream: side_by_side(stream, "labels", np.nan) for stream in streams},
        weights={stream: side_by_side(stream, "weights", 1.0) for stream in weighted},
    )
