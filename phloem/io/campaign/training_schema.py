"""Variables of a training's tiles: weights, losses and predictors' statistics of each network."""

from __future__ import annotations

from functools import cache

from phloem.io.campaign.tile_schema import TileSchema, TileVariable

_LANE = ("cell", "member")


@cache
def training_schema(weights: int, columns: int, epochs: int, looks: int, precision: str) -> TileSchema:
    """Return the schema of trainings.

    Args:
        weights: of a network with all predictors.
        columns: its inputs.
        epochs: of a training.
        looks: at the dev patches.
        precision: `float32` or `float64`.
    """
    size = "f4" if precision == "float32" else "f8"

    def lane(units: str, long_name: str, *more: str, kind: str = "f8", finite: bool = False) -> TileVariable:
        return TileVariable((*_LANE, *more), (kind,), units, long_name, finite)

    variables = {
        "cell": TileVariable(("cell",), ("str",), "", "set-up and run"),
        "status": lane("", "what became of the network", kind="i1"),
        "redraws": lane("1", "times the network was begun anew with other weights", kind="i1"),
        "steps": lane("1", "steps of the optimiser", kind="i8"),
        "loss": lane(
            "1", "loss summed over the training patches of the last epoch, while the weights changed", finite=True
        ),
        "loss_of_epochs": lane("1", "the same of each epoch", "epoch"),
        "dev_loss": lane("1", "loss summed over the dev patches", "look"),
        "weights": lane("1", "weights of the network", "weight", kind=size, finite=True),
        "mean": lane("", "mean of the predictor over the training cells", "column"),
        "deviation": lane("", "population standard deviation of the predictor over the training cells", "column"),
    }
    return TileSchema(variables, {"weight": weights, "column": columns, "epoch": epochs, "look": looks})
