"""Fire: what burns of each pool, and what it kills."""

from __future__ import annotations

from typing import Any, NamedTuple

from phloem.kernels.models.dalec_monthly.parameters import POOLS
from phloem.kernels.models.dalec_monthly.records import MOVED, MonthlyConstants


class Burnt(NamedTuple):
    """Pools after fire, and its fluxes.

    Attributes:
        pools: labile, foliar, root, wood, litter, som, gC m-2.
        combustion: of the six, gC m-2 d-1.
        litter: what fire kills and does not burn, of the five of `MOVED`, gC m-2 d-1.
    """

    pools: tuple[Any, ...]
    combustion: tuple[Any, ...]
    litter: tuple[Any, ...]


def burn(pools: tuple[Any, ...], c: MonthlyConstants, burned: Any, days: Any, above_floor: bool) -> Burnt:
    """Apply a month's fire to the pools of its end.

    Of the burned share of a pool the completeness burns; of the rest what is not resilient dies: leaves, labile carbon
    and fine roots become litter, wood and litter become soil carbon.

    Args:
        pools: labile, foliar, root, wood, litter, som, gC m-2.
        c: of the cell.
        burned: share of the area.
        days: length of the month.
        above_floor: whether fire acts on what lies above a pool's floor alone: no pool leaves the month below it.
    """
    rate = burned / days
    exposed = tuple(pool - table.lower if above_floor else pool for pool, table in zip(pools, POOLS[:6], strict=True))
    completeness = (c.burn_ligneous, c.burn_foliar, c.burn_ligneous, c.burn_ligneous, c.burn_litter, c.burn_som)
    combustion = tuple(pool * rate * share for pool, share in zip(exposed, completeness, strict=True))
    litter = tuple(
        pool * rate * ((1 - share) * c.killed)
        for pool, share in zip(exposed[: len(MOVED)], completeness[: len(MOVED)], strict=True)
    )
    labile, foliar, root, wood, dead, som = pools
    live = tuple(
        pool - (burning + dying) * days
        for pool, burning, dying in zip((labile, foliar, root, wood), combustion[:4], litter[:4], strict=True)
    )
    dead = dead + (litter[0] + litter[1] + litter[2] - combustion[4] - litter[4]) * days
    som = som + (litter[3] + litter[4] - combustion[5]) * days
    return Burnt((*live, dead, som), combustion, litter)
