"""Which patches a run trains on, which it watches, and which it never sees.

The order is that of a hash of a seed and the patch's name: it does not depend on how many patches there are before it,
nor on the machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from phloem.errors import InputError

DEV_SHARE = 0.1
"""Of the patches that are not held out."""


class Split(NamedTuple):
    """Positions of patches, ascending.

    Attributes:
        train: those that it learns from.
        dev: those that it is watched by.
        test: those that are held out.
    """

    train: tuple[int, ...]
    dev: tuple[int, ...]
    test: tuple[int, ...]


def _order(names: Sequence[str], positions: Sequence[int], salt: str) -> list[int]:
    keys = {place: hashlib.sha256(f"{salt}:{names[place]}".encode()).digest() for place in positions}
    return sorted(positions, key=keys.__getitem__)


def held_out(names: Sequence[str], share: float, seed: int, folds: int = 0, fold: int = 0) -> tuple[int, ...]:
    """Return the positions of the patches that are held out.

    Args:
        names: of all patches.
        share: of them that is held out; unused with folds.
        seed: of the choice.
        folds: 0: the same patches for all runs; else each patch is held out in one of so many folds.
        fold: of a run.
    """
    order = _order(names, range(len(names)), f"{seed}:test")
    chosen = order[fold::folds] if folds else order[: round(share * len(names))]
    return tuple(sorted(chosen))


def split_of(names: Sequence[str], test: Sequence[int], seed: int, run: int, *, dev_share: float = DEV_SHARE) -> Split:
    """Return the split of a run.

    Args:
        names: of all patches.
        test: positions of those that are held out.
        seed: of the campaign.
        run: number of the run.
        dev_share: of the others that is not trained on; 0: a run that learns from all of them.

    Raises:
        InputError: nothing is left to train on.
    """
    away = set(test)
    order = _order(names, [place for place in range(len(names)) if place not in away], f"{seed}:{run}:dev")
    count = round((1 - dev_share) * len(order))
    if not count:
        raise InputError(f"{len(names)} patches, of which {len(away)} are held out: none is left to train on")
    return Split(tuple(sorted(order[:count])), tuple(sorted(order[count:])), tuple(sorted(away)))
