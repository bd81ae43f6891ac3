"""The loss of a network on one patch, and so its slope by the weights.

One run over the months gives the sums that the terms of cells read, and three outputs by month for the terms of the
patch's means; the way back is one run too. No other output of a month is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from phloem.kernels.models.dalec_monthly.records import CARBON
from phloem.kernels.network.parameter_network import Weights, log_quantities
from phloem.kernels.network.patch_labels import PatchLabels
from phloem.kernels.network.patch_loss import COUPLED, LossWeights, cell_terms, coupled_terms, sums_of_months
from phloem.kernels.network.patch_model import cell_sums, first_state, patch_model, segment_of
from phloem.kernels.time_loop.day_tables import DayTables
from phloem.kernels.time_loop.fold import fold_and_keep
from phloem.kernels.time_loop.run_days import run_days


class Patch(NamedTuple):
    """Cells of a box that are trained together.

    Attributes:
        predictors: standardised, the hemisphere first, (rows, columns).
        tables: forcing and labels as the fold reads them.
        labels: the same labels, as the terms of the patch's means read them.
    """

    predictors: Float[Array, "rows columns"]
    tables: DayTables
    labels: PatchLabels


@dataclass(frozen=True)
class TrainingLoss:
    """The loss of a network on a patch.

    Attributes:
        mode: `strict`, or `compat` for the arithmetic of the public code.
        weights: of the terms.
        backend: `auto`, `xla`, `cpu` or `gpu`.
    """

    mode: str = "strict"
    weights: LossWeights = field(default_factory=LossWeights)
    backend: str = "auto"

    @property
    def is_strict(self) -> bool:
        """Whether rows that are no cells count nowhere."""
        return self.mode == "strict"

    def _start(self, network: Weights, patch: Patch) -> tuple[object, object, Array]:
        """Return the model's inputs, first state and the initial pools of carbon."""
        model = patch_model(self.mode)
        logs = log_quantities(network, patch.predictors, self.mode)
        count = len(model.parameters)
        pools = jnp.exp(logs[count:])
        return model.inputs_of_logs(logs[:count]), first_state(pools), pools[: len(CARBON)]

    def terms(self, network: Weights, patch: Patch) -> dict[str, Array]:
        """Return the terms, each already times its weight; their sum is the loss, and has its slope.

        Args:
            network: the weights.
            patch: of cells.
        """
        model, months = patch_model(self.mode), patch.labels.lai.label.shape[0]
        inputs, state, carbon = self._start(network, patch)
        _, sums, kept = fold_and_keep(
            model, inputs, state, patch.tables, _lanes(patch), COUPLED,
            segment=segment_of(months), backend=self.backend, last=False,
        )  # fmt: skip
        nbe, fire, water = kept[:, :months]
        coupled = coupled_terms(nbe, fire, water, patch.labels, self.weights, self.is_strict)
        return coupled | cell_terms(cell_sums(sums), carbon, patch.labels, self.weights, self.is_strict)

    def terms_of_months(self, network: Weights, patch: Patch) -> dict[str, Array]:
        """Return the same terms from all months of all outputs: the reference, which keeps them for the way back."""
        model, months = patch_model(self.mode), patch.labels.lai.label.shape[0]
        inputs, state, carbon = self._start(network, patch)
        names = model.outputs._fields  # type: ignore[attr-defined]
        _, kept = run_days(
            model, inputs, state, patch.tables, _lanes(patch), names, segment=segment_of(months), backend=self.backend
        )
        o = model.outputs(*kept[:, :months])
        coupled = coupled_terms(o.nbe, o.fire_emission, o.water, patch.labels, self.weights, self.is_strict)
        sums = sums_of_months(o, patch.labels)
        return coupled | cell_terms(sums, carbon, patch.labels, self.weights, self.is_strict)

    def value(self, network: Weights, patch: Patch) -> Array:
        """Return the loss: the plain sum of its terms."""
        return add_up(self.terms(network, patch))


def add_up(terms: dict[str, Array]) -> Array:
    """Return the plain sum of terms."""
    return reduce(add, terms.values())


def _lanes(patch: Patch) -> np.ndarray:
    return np.arange(patch.predictors.shape[0], dtype=np.int32)
