"""Steps of training: networks of several set-ups side by side on one patch after another, each with its own Adam.

All set-ups have weights of one shape, and so one program. Rows of the first layer whose predictors a set-up does not
see meet zeros: they neither act nor change, and a set-up is trained to the bits that it has alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Bool, Float

from phloem.kernels.network.parameter_network import Layer, Weights, first_weights, flat, of_flat
from phloem.kernels.network.set_ups import CONTROLS, GROUPS, HEMISPHERE, columns
from phloem.kernels.network.training_loss import Patch, TrainingLoss

ALL_COLUMNS = (HEMISPHERE, *chain(*GROUPS.values()), *chain(*CONTROLS.values()))
"""Predictors of a patch, those of every set-up."""


class Network(NamedTuple):
    """Where one network stands.

    Attributes:
        weights: with all columns; rows of the first layer that its set-up does not see are 0.
        adam: state of its optimiser.
        finite: whether loss and slope of all steps so far were finite.
    """

    weights: Weights
    adam: Any
    finite: Bool[Array, ""]


Training = tuple[Network, ...]
"""Where networks side by side stand, one for each set-up."""


def _matrices(weights: Weights) -> Any:
    """Tell which arrays of weights are matrices; the others are biases."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, weights)


@dataclass(frozen=True)
class OneNetwork:
    """How one network is trained, whatever its set-up: the programs that all networks share.

    Attributes:
        loss: of a patch.
        learning_rate: of Adam, at first.
        schedule: `constant`, or `cosine` down to nothing at the last step.
        total_steps: of a network.
        weight_decay: times the learning rate of a step, the share of a matrix of weights that it takes off, 0 for plain
            Adam; biases keep what they have, so that a network decays to one set of quantities for all cells.
    """

    loss: TrainingLoss
    learning_rate: float
    schedule: str
    total_steps: int
    weight_decay: float = 0.0

    @property
    def optimiser(self) -> optax.GradientTransformation:
        """Adam of one network; with a decay that of Loshchilov and Hutter (2019)."""
        rate: Any = self.learning_rate
        if self.schedule == "cosine":
            rate = optax.cosine_decay_schedule(self.learning_rate, max(1, self.total_steps))
        if not self.weight_decay:
            return optax.adam(rate)
        return optax.adamw(rate, weight_decay=self.weight_decay, mask=_matrices)

    def _slope(self, weights: Weights, mask: Array, patch: Patch) -> tuple[Array, Weights]:
        seen = patch._replace(predictors=patch.predictors * mask)
        found: tuple[Array, Weights] = jax.value_and_grad(self.loss.value)(weights, seen)
        return found

    def _moved(self, network: Network, slope: Weights, good: Array, walks: Array) -> Network:
        change, new = self.optimiser.update(slope, network.adam, network.weights)
        moved = optax.apply_updates(network.weights, change)

        def kept(after: Any, before: Any) -> Any:
            return jax.tree.map(lambda a, b: jnp.where(walks & good, a, b), after, before)

        finite = network.finite & (good | ~walks)
        return Network(kept(moved, network.weights), kept(new, network.adam), finite)

    @partial(jax.jit, static_argnums=0)
    def step(self, network: Network, mask: Array, patch: Patch, walks: Array) -> tuple[Network, Array]:
        """Take one step on a patch; return where the network stands then, and the loss before it."""
        value, slope = self._slope(network.weights, mask, patch)
        good = jnp.isfinite(value) & jnp.isfinite(flat(slope)).all()
        return self._moved(network, slope, good, walks), value

    @partial(jax.jit, static_argnums=0)
    def slope(self, weights: Weights, mask: Array, patch: Patch) -> tuple[Array, Float[Array, " flat"]]:
        """Return the loss on a patch and its slope by the weights, laid flat."""
        value, slope = self._slope(weights, mask, patch)
        return value, flat(slope)

    @partial(jax.jit, static_argnums=0)
    def move(
        self, network: Network, losses: Float[Array, " patches"], slope: Float[Array, " flat"], walks: Array
    ) -> Network:
        """Take one step along a slope; losses that are not finite keep the network where it is."""
        good = jnp.isfinite(losses).all() & jnp.isfinite(slope).all()
        return self._moved(network, of_flat(slope, len(ALL_COLUMNS) - 1), good, walks)

    @partial(jax.jit, static_argnums=0)
    def value(self, weights: Weights, mask: Array, patch: Patch) -> Array:
        """Return the loss on a patch."""
        return self.loss.value(weights, patch._replace(predictors=patch.predictors * mask))


@dataclass(frozen=True)
class Trainer:
    """How networks of several set-ups are trained.

    One network after the other is asked for its step, by one program for all: no bit of it can depend on which others
    there are, and each finds the patch's tables in the caches.

    Attributes:
        loss: of a patch.
        set_ups: groups of predictors of each network.
        learning_rate: of Adam, at first.
        schedule: `constant`, or `cosine` down to nothing at the last step.
        total_steps: of a network.
        precision: `float32` or `float64`.
        weight_decay: as of `OneNetwork`.
    """

    loss: TrainingLoss
    set_ups: tuple[tuple[str, ...], ...]
    learning_rate: float
    schedule: str = "cosine"
    total_steps: int = 1
    precision: str = "float32"
    weight_decay: float = 0.0

    @property
    def dtype(self) -> Any:
        """Floating type of the numbers."""
        return jnp.dtype(self.precision)

    @cached_property
    def one(self) -> OneNetwork:
        """The programs of a single network."""
        return OneNetwork(self.loss, self.learning_rate, self.schedule, self.total_steps, self.weight_decay)

    @cached_property
    def masks(self) -> Float[np.ndarray, "set_ups columns"]:
        """1 where a set-up sees a predictor, else 0."""
        seen = [set(columns(one)) for one in self.set_ups]
        return np.array([[float(name in one) for name in ALL_COLUMNS] for one in seen], self.precision)

    def first(self, keys: Sequence[Array]) -> Training:
        """Return networks at their first step.

        Args:
            keys: of jax.random, one a set-up.
        """
        return tuple(self._begun(key, number) for number, key in enumerate(keys))

    def _begun(self, key: Array, number: int) -> Network:
        weights = self.draw(key, number)
        return Network(weights, self.one.optimiser.init(weights), jnp.array(True))

    def draw(self, key: Array, number: int) -> Weights:
        """Draw the first weights of a set-up, as of a network of its own predictors alone."""
        seen = np.flatnonzero(self.masks[number][1:])
        small = first_weights(key, len(seen), self.dtype)
        whole = jnp.zeros((len(ALL_COLUMNS) - 1, small.embedding[0].w.shape[1]), self.dtype)
        first = Layer(whole.at[seen].set(small.embedding[0].w), small.embedding[0].b)
        return small._replace(embedding=(first, *small.embedding[1:]))

    def redraw(self, state: Training, number: int, key: Array) -> Training:
        """Return the networks with one of them at its first step again, from other weights."""
        return (*state[:number], self._begun(key, number), *state[number + 1 :])

    def step(self, state: Training, patch: Patch, walking: Bool[Any, " set_ups"]) -> tuple[Training, Array]:
        """Take one step on a patch.

        Args:
            state: where the networks stand.
            patch: with all predictors, `ALL_COLUMNS`.
            walking: networks that take it; the others stay as they are.

        Returns:
            Where they stand then, and the loss of each before the step, (set-ups,).
        """
        walks = np.asarray(walking)
        taken = [self.one.step(*each, patch, go) for *each, go in zip(state, self.masks, walks, strict=True)]
        return tuple(network for network, _ in taken), jnp.stack([value for _, value in taken])

    def slopes(self, state: Training, patch: Patch) -> tuple[Float[Array, " set_ups"], Float[Array, "set_ups flat"]]:
        """Return the loss of each network on a patch and its slope by the weights, laid flat: a step without its move.

        Args:
            state: where the networks stand.
            patch: with all predictors, `ALL_COLUMNS`.
        """
        found = [self.one.slope(network.weights, mask, patch) for network, mask in zip(state, self.masks, strict=True)]
        return jnp.stack([value for value, _ in found]), jnp.stack([slope for _, slope in found])

    def move(
        self,
        state: Training,
        values: Float[Array, "patches set_ups"],
        slopes: Float[Array, "set_ups flat"],
        walking: Bool[Any, " set_ups"],
    ) -> Training:
        """Take one step along the mean of the slopes of several patches.

        Args:
            state: where the networks stand.
            values: losses of the patches before the step; one that is no number keeps its network where it is.
            slopes: mean over the patches of those of `slopes`.
            walking: networks that take the step; the others stay as they are.
        """
        each = zip(state, values.T, slopes, np.asarray(walking), strict=True)
        return tuple(self.one.move(network, losses, slope, go) for network, losses, slope, go in each)

    def losses(self, state: Training, patch: Patch) -> Float[Array, " set_ups"]:
        """Return the loss of each network on a patch."""
        found = [self.one.value(one.weights, mask, patch) for one, mask in zip(state, self.masks, strict=True)]
        return jnp.stack(found)
