"""Steps of training: networks of several set-ups side by side on one patch after another, each with its own Adam.

All set-ups have weights of one shape. Rows of the first layer whose predictors a set-up does not see meet zeros: they
neither act nor change, and a set-up is trained to the bits that it has alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax
from jaxtyping import Bool, Float

from phloem.kernels.network.parameter_network import Layer, Weights, first_weights, flat, of_flat
from phloem.kernels.network.set_ups import CONTROLS, GROUPS, HEMISPHERE, columns
from phloem.kernels.network.training_loss import Patch, TrainingLoss

ALL_COLUMNS = (HEMISPHERE, *chain(*GROUPS.values()), *chain(*CONTROLS.values()))
"""Predictors of a patch, those of every set-up."""


class Training(NamedTuple):
    """Where networks stand, the set-ups along the first axis of each array.

    Attributes:
        weights: of the networks.
        adam: state of their optimisers.
        finite: whether loss and slope of all steps so far were finite.
    """

    weights: Weights
    adam: Any
    finite: Bool[Array, " set_ups"]


@dataclass(frozen=True)
class Trainer:
    """How networks are trained.

    Attributes:
        loss: of a patch.
        set_ups: groups of predictors of each network.
        learning_rate: of Adam, at first.
        schedule: `constant`, or `cosine` down to nothing at the last step.
        total_steps: of a network.
        precision: `float32` or `float64`.
    """

    loss: TrainingLoss
    set_ups: tuple[tuple[str, ...], ...]
    learning_rate: float
    schedule: str = "cosine"
    total_steps: int = 1
    precision: str = "float32"

    @property
    def dtype(self) -> Any:
        """Floating type of the numbers."""
        return jnp.dtype(self.precision)

    @property
    def optimiser(self) -> optax.GradientTransformation:
        """Adam of one network."""
        if self.schedule == "constant":
            return optax.adam(self.learning_rate)
        return optax.adam(optax.cosine_decay_schedule(self.learning_rate, max(1, self.total_steps)))

    @property
    def masks(self) -> Float[np.ndarray, "set_ups columns"]:
        """1 where a set-up sees a predictor, else 0."""
        seen = [set(columns(one)) for one in self.set_ups]
        return np.array([[float(name in one) for name in ALL_COLUMNS] for one in seen], self.precision)

    def first(self, keys: Sequence[Array]) -> Training:
        """Return networks at their first step.

        Args:
            keys: of jax.random, one a set-up.
        """
        drawn = [self.draw(key, number) for number, key in enumerate(keys)]
        weights: Weights = jax.tree.map(lambda *parts: jnp.stack(parts), *drawn)
        return Training(weights, jax.vmap(self.optimiser.init)(weights), jnp.ones(len(drawn), bool))

    def draw(self, key: Array, number: int) -> Weights:
        """Draw the first weights of a set-up, as of a network of its own predictors alone."""
        seen = np.flatnonzero(self.masks[number][1:])
        small = first_weights(key, len(seen), self.dtype)
        whole = jnp.zeros((len(ALL_COLUMNS) - 1, small.embedding[0].w.shape[1]), self.dtype)
        first = Layer(whole.at[seen].set(small.embedding[0].w), small.embedding[0].b)
        return small._replace(embedding=(first, *small.embedding[1:]))

    def redraw(self, state: Training, number: int, key: Array) -> Training:
        """Return the networks with one of them at its first step again, from other weights."""
        weights = self.draw(key, number)
        adam = self.optimiser.init(weights)

        def put(all_of: Any, one: Any) -> Any:
            return jax.tree.map(lambda many, single: many.at[number].set(single), all_of, one)

        return Training(put(state.weights, weights), put(state.adam, adam), state.finite.at[number].set(True))

    @partial(jax.jit, static_argnums=0)
    def step(self, state: Training, patch: Patch, walking: Bool[Array, " set_ups"]) -> tuple[Training, Array]:
        """Take one step on a patch.

        Args:
            state: where the networks stand.
            patch: with all predictors, `ALL_COLUMNS`.
            walking: networks that take it; the others stay as they are.

        Returns:
            Where they stand then, and the loss of each before the step, (set-ups,).
        """

        def one(weights: Weights, adam: Any, mask: Array, walks: Array) -> tuple[Weights, Any, Array, Array]:
            value, slope = self._slope(weights, mask, patch)
            good = jnp.isfinite(value) & jnp.isfinite(flat(slope)).all()
            moved, new = self._move(weights, adam, slope, walks & good)
            return moved, new, value, good | ~walks

        # One after the other: side by side, as lanes of one call, each would have a copy of the patch's tables.
        each = state.weights, state.adam, jnp.asarray(self.masks), walking
        weights, adam, values, good = lax.map(lambda parts: one(*parts), each)
        return Training(weights, adam, state.finite & good), values

    def _slope(self, weights: Weights, mask: Array, patch: Patch) -> tuple[Array, Weights]:
        """Return the loss of one network on a patch, and its slope."""
        seen = patch._replace(predictors=patch.predictors * mask)
        found: tuple[Array, Weights] = jax.value_and_grad(self.loss.value)(weights, seen)
        return found

    def _move(self, weights: Weights, adam: Any, slope: Weights, moves: Array) -> tuple[Weights, Any]:
        """Return one network and its Adam after a step along a slope, or as they are where it does not move."""
        change, new = self.optimiser.update(slope, adam, weights)
        moved = optax.apply_updates(weights, change)

        def kept(after: Any, before: Any) -> Any:
            return jax.tree.map(lambda a, b: jnp.where(moves, a, b), after, before)

        return kept(moved, weights), kept(new, adam)

    @partial(jax.jit, static_argnums=0)
    def slopes(self, weights: Weights, patch: Patch) -> tuple[Float[Array, " set_ups"], Float[Array, "set_ups flat"]]:
        """Return the loss of each network on a patch and its slope by the weights, laid flat: a step without its move.

        Args:
            weights: of the networks, the set-ups along the first axis of each array.
            patch: with all predictors, `ALL_COLUMNS`.
        """

        def one(weights: Weights, mask: Array) -> tuple[Array, Array]:
            value, slope = self._slope(weights, mask, patch)
            return value, flat(slope)

        found: tuple[Array, Array] = lax.map(lambda parts: one(*parts), (weights, jnp.asarray(self.masks)))
        return found

    @partial(jax.jit, static_argnums=0)
    def move(
        self,
        state: Training,
        values: Float[Array, "patches set_ups"],
        slopes: Float[Array, "set_ups flat"],
        walking: Bool[Array, " set_ups"],
    ) -> Training:
        """Take one step along the mean of the slopes of several patches.

        Args:
            state: where the networks stand.
            values: losses of the patches before the step; one that is no number keeps its network where it is.
            slopes: mean over the patches of those of `slopes`.
            walking: networks that take the step; the others stay as they are.
        """

        def one(weights: Weights, adam: Any, losses: Array, slope: Array, walks: Array) -> tuple[Weights, Any, Array]:
            good = jnp.isfinite(losses).all() & jnp.isfinite(slope).all()
            moved, new = self._move(weights, adam, of_flat(slope, len(ALL_COLUMNS) - 1), walks & good)
            return moved, new, good | ~walks

        each = state.weights, state.adam, values.T, slopes, walking
        weights, adam, good = lax.map(lambda parts: one(*parts), each)
        return Training(weights, adam, state.finite & good)

    @partial(jax.jit, static_argnums=0)
    def losses(self, state: Training, patch: Patch) -> Array:
        """Return the loss of each network on a patch, (set-ups,)."""

        def one(weights: Weights, mask: Array) -> Array:
            return self.loss.value(weights, patch._replace(predictors=patch.predictors * mask))

        found: Array = lax.map(lambda parts: one(*parts), (state.weights, jnp.asarray(self.masks)))
        return found
