"""Tables of configuration files as typed trees: unknown keys are refused, values keep their TOML type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

Year = Annotated[int, Field(ge=1, le=9998)]
Years = Annotated[list[Year], Field(min_length=2, max_length=2)]
"""First and last."""

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(gt=0, lt=1)]
Above = Annotated[float, Field(gt=0)]


class TowerYears(NamedTuple):
    """Calendar years of a tower's record that are used.

    Attributes:
        first: of the calibration.
        calibrated: last of the calibration.
        last: of the validation, which begins with the next year; None: the record's last.
    """

    first: int
    calibrated: int
    last: int | None


class Section(BaseModel):
    """A table of a configuration file."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class ExperimentTable(Section):
    """The [experiment] table of a campaign file: what is computed. Each kind of work, and each model, has its own.

    Attributes:
        kind_of_work: which kind of work computes it.
        names: values of `name` that choose this table.
    """

    kind_of_work: ClassVar[str]
    names: ClassVar[tuple[str, ...]]

    name: str

    @classmethod
    def usual_tile(cls, table: Mapping[str, Any]) -> int | None:
        """Return the units of a tile where the campaign file says nothing; None: as for all.

        Args:
            table: as the file has it, not yet checked.
        """
        return None

    def check_data(self, kind: str, domain: str) -> None:
        """Refuse data that this experiment cannot be computed from.

        Args:
            kind: of the [data] table.
            domain: of made-up data.

        Raises:
            ValueError: the message names what goes with it.
        """

    def with_backend(self, backend: str) -> ExperimentTable:
        """Return the same experiment with its choice of a backend resolved, where it has one."""
        return self

    @property
    def time_loop(self) -> str:
        """The backend that runs its time loop, `auto` before it is resolved; empty where it has none."""
        return ""

    def science(self) -> dict[str, Any]:
        """Return the keys that a result depends on, for the fingerprint."""
        return self.model_dump()

    def written(self) -> dict[str, Any]:
        """Return the keys that a frozen campaign file holds."""
        return self.model_dump(exclude_none=True)
