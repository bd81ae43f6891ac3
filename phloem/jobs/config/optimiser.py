"""The [optimiser] table of the campaign file: one set of keys for each optimiser, chosen by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from phloem.kernels.optimise.adam import AnnealedAdam
from phloem.kernels.optimise.windowed_bfgs import WindowedBfgs
from phloem.typed_tables import Above, Positive, Section, Share

if TYPE_CHECKING:
    from phloem.kernels.optimise.adam import AnnealedAdam
    from phloem.kernels.optimise.windowed_bfgs import WindowedBfgs


SETTLING = 1.5
"""Gradients that settling the pools in a window costs (kernels/optimise/initial_pools.py)."""


class AdamSection(Section):
    """Adam and its schedule; the defaults are the published ones."""

    name: Literal["adam"] = "adam"
    iterations: Positive = 25_000
    learning_rate: Above = 5e-4
    beta1: Share = 0.9
    beta2: Share = 0.999
    epsilon: Above = 1e-8
    sharpness: Above = 30.0
    sharpness_iterations: Positive = 10_000
    schedule: Literal["constant", "constant-cosine"] = "constant"
    cosine_start: Share = 0.4
    init: Literal["normal", "uniform_u"] = "normal"
    trace: Positive = 250

    @property
    def steps(self) -> int:
        """Steps of a lane."""
        return self.iterations

    @property
    def in_words(self) -> str:
        """What a report says of it."""
        return f"adam, {self.iterations:,} iterations"

    def gradients(self, years: float) -> float:
        """Return the cost of a lane, in gradients of its whole record of so many years."""
        return float(self.iterations)

    def extra_bytes(self, unknowns: int) -> int:
        """Return the memory in which a lane's curvature is kept."""
        return 0

    def for_kernels(self) -> AnnealedAdam:
        """Return the kernels' form of it."""
        from phloem.kernels.optimise.adam import AnnealedAdam

        return AnnealedAdam(**self.model_dump(exclude={"name"}))

    def endless(self, steps: int) -> AdamSection:
        """Return an optimiser that is not done within so many steps, each of them over the whole record."""
        return self.model_copy(update={"iterations": steps})


class FastSection(Section):
    """Quasi-Newton walks on a part of the record, then on all of it, until the loss is steady (docs/optimiser.md)."""

    name: Literal["fast"] = "fast"
    iterations: Positive = 1_000
    starts: Annotated[int, Field(gt=0, le=64)] = 4
    tolerance: Annotated[float, Field(ge=0)] = 1e-3
    patience: Positive = 50
    windows: list[Positive] = Field(default=[1, 3])
    window_iterations: list[Positive] = Field(default=[200, 80])
    sharpness: Above = 30.0
    sharpness_iterations: Positive = 120
    init: Literal["normal", "uniform_u"] = "normal"
    trace: Positive = 250

    @model_validator(mode="after")
    def _fits(self) -> FastSection:
        if len(self.window_iterations) != len(self.windows):
            raise ValueError(
                f"window_iterations must have one number a window: {len(self.windows)} for windows = {self.windows}"
            )
        if self.windows != sorted(set(self.windows)):
            raise ValueError(f"windows must ascend, in years, as [1, 3]; got {self.windows}")
        return self

    @property
    def steps(self) -> int:
        """Steps of a lane, at most, on all windows."""
        return self.starts * sum(self.window_iterations) + self.iterations

    @property
    def in_words(self) -> str:
        """What a report says of it."""
        return f"fast, {self.starts} starts, tolerance {self.tolerance:g}"

    def gradients(self, years: float) -> float:
        """Return the cost of a lane, at most, in gradients of its whole record of so many years.

        It converges earlier as a rule; but a block of lanes costs what its last one takes.
        """
        windows = zip(self.windows, self.window_iterations, strict=True)
        each = sum((steps + SETTLING) * min(1.0, window / years) for window, steps in windows)
        return self.iterations + SETTLING + self.starts * each

    def extra_bytes(self, unknowns: int) -> int:
        """Return the memory in which a lane's curvature is kept.

        It is float64, where the lane walks and where its best start stood, twice, since a step makes new ones; with
        some vectors.
        """
        return 8 * (4 * unknowns**2 + 16 * unknowns)

    def for_kernels(self) -> WindowedBfgs:
        """Return the kernels' form of it."""
        from phloem.kernels.optimise.windowed_bfgs import WindowedBfgs

        given: dict[str, Any] = self.model_dump(exclude={"name"})
        given |= {"windows": tuple(self.windows), "window_iterations": tuple(self.window_iterations)}
        return WindowedBfgs(**given)

    def endless(self, steps: int) -> FastSection:
        """Return an optimiser that is not done within so many steps, each of them over the whole record."""
        return self.model_copy(update={"iterations": steps, "windows": [], "window_iterations": [], "tolerance": -1.0})


OptimiserSection = Annotated[AdamSection | FastSection, Field(discriminator="name")]
