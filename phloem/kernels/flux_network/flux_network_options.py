"""Settings of a network of fluxes: heads, weights of the constraints, and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass

from phloem.errors import InputError, did_you_mean

LATENT_HEAT = 2.45e6
"""Of vaporisation, J kg-1, lambda_v; uflux.md section 3."""

SECONDS_A_DAY = 86_400.0

FLUX_NAMES = ("gpp", "reco", "nee", "le")
"""Outputs of a network, in this order: gC m-2 d-1 three times, W m-2."""

HEADS = ("softplus", "relu", "soft", "residual")
"""What keeps gpp and reco from being negative: softplus(10 z) / 10; ReLU, as published; a term of the loss alone; or
the process baseline and a correction, clipped at 0."""

ACTIVATIONS = ("tanh", "softplus")

WIDTHS = (64, 64, 32)
"""Hidden units of each layer."""


@dataclass(frozen=True)
class FluxNetworkOptions:
    """What is trained, and how.

    Attributes:
        head: of `HEADS`.
        activation: of the hidden units, of `ACTIVATIONS`.
        hard_mass: whether nee is reco - gpp by construction; then the mass term is 0.
        l_mass: weight of mean |nee - (reco - gpp)|, 1.
        l_pos: weight of what is negative in gpp and reco; acts with the soft head.
        l_light: weight of negative slopes of gpp by PAR, where PAR is 200 W m-2 or less.
        l_temp: weight of negative slopes of reco by air temperature, below 40 degC.
        penalty_share: of the rows of a minibatch, for which the two slopes are found, 0 to 1.
        le_unit: W m-2 that count in the loss like 1 gC m-2 d-1; by default those that evaporate 1 mm of water a day.
        learning_rate: of Adam.
        weight_decay: times the learning rate, the share of its matrices that a step takes off, biases kept
            (Loshchilov and Hutter 2019); 0 for plain Adam.
        batch_rows: rows of a minibatch, the same for all lanes; rows of weight 0 among them.
        max_epochs: of a lane.
        patience: epochs without a better validation after which a lane stops.
        validation_share: of a lane's towers, on which it does not train.
        lanes_per_block: lanes that one program trains; results are told to the bit for each number alone.
        seed: of the order of rows, which all lanes share.
    """

    head: str = "softplus"
    activation: str = "tanh"
    hard_mass: bool = False
    l_mass: float = 1.0
    l_pos: float = 1.0
    l_light: float = 0.1
    l_temp: float = 0.1
    penalty_share: float = 0.25
    le_unit: float = LATENT_HEAT / SECONDS_A_DAY
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    batch_rows: int = 64
    max_epochs: int = 100
    patience: int = 10
    validation_share: float = 0.15
    lanes_per_block: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        for name, valid in (("head", HEADS), ("activation", ACTIVATIONS)):
            value = getattr(self, name)
            if value not in valid:
                raise InputError(f"{name} = {value!r} is none of {', '.join(valid)}.{did_you_mean(value, valid)}")
        for name in ("batch_rows", "max_epochs", "patience", "lanes_per_block"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} = {getattr(self, name)}: 1 or more is due")
        for name in ("l_mass", "l_pos", "l_light", "l_temp", "weight_decay"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"{name} = {getattr(self, name)}: 0 or more is due")
        for name in ("learning_rate", "le_unit"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"{name} = {getattr(self, name)}: a positive number is due")
        for name in ("penalty_share", "validation_share"):
            if not 0 <= getattr(self, name) <= 1 or (getattr(self, name) == 1 and name == "validation_share"):
                raise InputError(f"{name} = {getattr(self, name)}: a share from 0 to below 1 is due")
