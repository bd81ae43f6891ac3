"""Choice of members: those of each set-up that ended training with the lowest loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from phloem.errors import InputError

KEPT = 10
"""Members that are kept of the twenty of a set-up."""


@dataclass(frozen=True)
class BestMembers:
    """Members that are kept.

    Attributes:
        set_ups: groups of predictors of each set-up.
        kept: their numbers in each, the lowest loss first.
        notes: of set-ups with fewer members than were to be kept, what is kept.
    """

    set_ups: tuple[tuple[str, ...], ...]
    kept: tuple[tuple[int, ...], ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return set-ups with their members, and notes."""
        rows = [
            {"set_up": list(groups), "members": list(members)}
            for groups, members in zip(self.set_ups, self.kept, strict=True)
        ]
        return {"set_ups": rows, "notes": list(self.notes)}


def best_members(losses: np.ndarray, set_ups: Sequence[Sequence[str]], keep: int = KEPT) -> BestMembers:
    """Choose the members of each set-up with the lowest loss; of equal ones, the first.

    Args:
        losses: summed over the patches of the last epoch of training, (set-ups, members); not finite where a member
            did not end.
        set_ups: groups of predictors of each.
        keep: members to keep at most.

    Raises:
        InputError: other numbers of set-ups, or fewer than one to keep.
    """
    losses = np.asarray(losses, float)
    if losses.ndim != 2 or len(losses) != len(set_ups) or keep < 1:
        raise InputError(
            f"losses of shape {losses.shape} for {len(set_ups)} set-ups, {keep} to keep: (set-ups, members) and at "
            "least one are due"
        )
    kept, notes = [], []
    for groups, row in zip(set_ups, losses, strict=True):
        order = [int(n) for n in np.argsort(row, kind="stable") if np.isfinite(row[n])][:keep]
        kept.append(tuple(order))
        if len(order) < keep:
            ended = f"{len(order)} of {len(row)} members ended" if order else f"none of {len(row)} members ended"
            notes.append(f"set-up {'+'.join(groups)}: {ended}, {keep} were to be kept; all that ended are")
    return BestMembers(tuple(tuple(groups) for groups in set_ups), tuple(kept), tuple(notes))
