"""The [experiment] table of a training: which set-ups of predictors, how long, on which patches, with which loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from phloem.names import PREDICTOR_GROUPS
from phloem.typed_tables import Above, ExperimentTable, Positive, Section

if TYPE_CHECKING:
    from phloem.kernels.network.patch_loss import LossWeights
    from phloem.kernels.network.training_loss import TrainingLoss

JOIN = "+"
"""Between the groups of a set-up, as in PFT+CLIM."""

RATES = {"constant": 5e-4, "cosine": 2e-3}
"""Learning rate of each schedule where none is given: the paper's, and the one that did best on held-out patches of the
synthetic Earth."""

Weight = Annotated[float, Field(ge=0)]


class WeightsSection(Section):
    """Weights of the terms of the loss; what is left out is as published, 0 leaves a term out."""

    sif: Weight = 400.0
    lai: Weight = 10.0
    biomass: Weight = 5e-5
    soil_carbon: Weight = 3e-6
    nbe: Weight = 3000.0
    nbe_interannual: Weight = 10_380.0
    fire: Weight = 1000.0
    water: Weight = 0.2
    vod: Weight = 100.0
    tower_gpp: Weight = 100.0
    tower_reco: Weight = 100.0
    tower_et: Weight = 100.0
    et: Weight = 1.0
    violation: Weight = 400.0
    steady_state: Weight = 10.0


def set_up_name(groups: tuple[str, ...] | list[str]) -> str:
    """Return the name of a set-up, as PFT+CLIM."""
    return JOIN.join(groups)


def all_names() -> list[str]:
    """Return the names of the fifteen set-ups."""
    from phloem.kernels.network.set_ups import all_set_ups

    return [set_up_name(one) for one in all_set_ups()]


class NetworkTable(ExperimentTable):
    """Training of networks; `campaign.members` is the number of runs of each set-up.

    Attributes:
        set_ups: groups of predictors of each network, as "PFT+CLIM"; by default all fifteen.
        mode: `strict`, or `compat` for the arithmetic of the public code.
        precision: of the numbers.
        backend: of the loop over the months.
        epochs: times that all training patches are gone through.
        schedule: of the learning rate: `cosine` down to nothing, or `constant` as published.
        learning_rate: of Adam, at first; by default that of `RATES`.
        order: of the patches: `shuffled` anew in each epoch, or `fixed` as published.
        patches_per_step: patches whose slopes are added up for one step; 1 as published.
        train_on: `train`, or `train+dev` for the maps after the evaluation.
        dev_every: epochs between two looks at the dev patches.
        test_share: of the patches that no run sees.
        dev_share: of the others, that a run is watched by.
        folds: 0: the same test patches for all runs; else run after run holds out another of so many parts.
        split: `hashed` by a seed, or `published` where the store brings one.
        split_seed: of the test patches.
        weight_decay: times the learning rate, the share of the weights that a step takes off; biases keep theirs, so
            that networks are drawn to one set of quantities for all cells.
        choose: weights of the `last` step, or those of the look with the least loss on the dev patches, `best-dev`.
        keep: networks of each set-up that count: those of the least loss in the last epoch.
        leave_out: streams that are not trained on.
        weights: of the terms of the loss.
    """

    kind_of_work: ClassVar[str] = "training"
    names: ClassVar[tuple[str, ...]] = ("network",)

    name: Literal["network"] = "network"
    set_ups: Annotated[list[str], Field(min_length=1)] = Field(default_factory=all_names)
    mode: Literal["strict", "compat"] = "strict"
    precision: Literal["float32", "float64"] = "float32"
    backend: Literal["auto", "xla", "cpu"] = "auto"
    epochs: Positive = 199
    schedule: Literal["cosine", "constant"] = "cosine"
    learning_rate: Above | None = None
    order: Literal["shuffled", "fixed"] = "shuffled"
    patches_per_step: Annotated[int, Field(ge=1, le=1024)] = 1
    train_on: Literal["train", "train+dev"] = "train"
    dev_every: Positive = 10
    test_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    dev_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    folds: Annotated[int, Field(ge=0, le=100)] = 0
    split: Literal["hashed", "published"] = "hashed"
    split_seed: Annotated[int, Field(ge=0)] = 0
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    choose: Literal["last", "best-dev"] = "last"
    keep: Positive = 10
    leave_out: list[str] = Field(default_factory=list)
    weights: WeightsSection = WeightsSection()

    @field_validator("set_ups")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        from phloem.kernels.network.set_ups import CONTROLS, columns

        ordered = []
        for name in names:
            groups = [part.strip() for part in name.split(JOIN)]
            columns(groups)
            known = [group for group in (*PREDICTOR_GROUPS, *CONTROLS) if group in groups]
            if "CONTROL" in known and len(known) > 1:
                raise ValueError(f"set-up {name}: CONTROL, which sees nothing, stands alone")
            ordered.append(set_up_name(known))
        if twice := sorted({name for name in ordered if ordered.count(name) > 1}):
            raise ValueError(f"set-up {twice[0]} stands there twice")
        return ordered

    @field_validator("leave_out")
    @classmethod
    def _streams(cls, streams: list[str]) -> list[str]:
        from phloem.kernels.network.patch_labels import STREAMS

        if wrong := [name for name in streams if name not in STREAMS]:
            raise ValueError(f"stream {wrong[0]!r}: valid are {', '.join(STREAMS)}")
        return streams

    @model_validator(mode="after")
    def _fits(self) -> NetworkTable:
        if self.folds == 1:
            raise ValueError("folds = 1: one part is all of the patches; 0 or 2 and more are due")
        if self.folds and self.split == "published":
            raise ValueError('folds go with split = "hashed"')
        if self.choose == "best-dev" and (self.train_on == "train+dev" or not self.dev_share):
            raise ValueError('choose = "best-dev" needs dev patches: dev_share above 0, and train_on = "train"')
        return self

    @property
    def groups(self) -> list[tuple[str, ...]]:
        """Groups of each set-up."""
        return [tuple(name.split(JOIN)) for name in self.set_ups]

    @property
    def rate(self) -> float:
        """Learning rate of Adam, at first."""
        return RATES[self.schedule] if self.learning_rate is None else self.learning_rate

    @property
    def time_loop(self) -> str:
        """The backend that runs the months."""
        return self.backend

    def with_backend(self, backend: str) -> NetworkTable:
        """Return the same training with `auto` replaced by a backend; one that was named stays.

        Months have no printed CUDA: on GPUs XLA runs them.
        """
        found = "xla" if backend == "gpu" else backend
        return self.model_copy(update={"backend": found}) if self.backend == "auto" else self

    @classmethod
    def usual_tile(cls, table: Mapping[str, Any]) -> int:
        """Return the number of set-ups: a tile is a run, whose networks go side by side."""
        set_ups = table.get("set_ups")
        return len(set_ups) if isinstance(set_ups, list) and set_ups else len(all_names())

    def check_data(self, kind: str, domain: str) -> None:
        """Refuse data that are no patches."""
        if kind != "patches" and (kind, domain) != ("synthetic", "globe"):
            raise ValueError(
                'experiment.name = "network" goes with data.kind = "patches", a patch store that `phloem ingest '
                '--what patches` makes, or "synthetic" with domain = "globe"'
            )

    def loss_weights(self) -> LossWeights:
        """Return the weights of the loss; those of streams that are left out act on no label."""
        from phloem.kernels.network.patch_loss import LossWeights

        return LossWeights(**self.weights.model_dump())

    def loss(self) -> TrainingLoss:
        """Return the loss of a patch."""
        from phloem.kernels.network.training_loss import TrainingLoss

        return TrainingLoss(self.mode, self.loss_weights(), self.backend)

    def science(self) -> dict[str, Any]:
        """Return the keys that a result depends on: how many networks count is settled after the training."""
        apart = {name for name, usual in (("weight_decay", 0.0), ("choose", "last")) if getattr(self, name) == usual}
        return self.model_dump(exclude={"keep"} | apart)
