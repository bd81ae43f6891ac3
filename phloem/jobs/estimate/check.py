"""Checks of `doctor`: name, level, text, and the command that mends it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class CheckFinding:
    """Result of a check.

    Attributes:
        level: `ok`; `note` for what is absent and not needed by everybody; `problem` for what stops campaigns.
        text: for people.
        mend: command or line that makes it better; empty where there is nothing to do.
        facts: the same for programs.
    """

    level: Level
    text: str
    mend: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """One check and its result.

    Attributes:
        name: of the thing checked.
        finding: what was found.
    """

    name: str
    finding: CheckFinding

    @property
    def level(self) -> Level:
        """How bad it is."""
        return self.finding.level

    def to_json(self) -> dict[str, Any]:
        """Return the check as a JSON object."""
        found = self.finding
        return {
            "name": self.name, "level": found.level, "text": found.text, "mend": found.mend, "facts": dict(found.facts),
        }  # fmt: skip

    def lines(self) -> list[str]:
        """Return the check for people."""
        found = self.finding
        mend = [f"{'':8} {'':12} -> {found.mend}"] if found.mend else []
        return [f"{found.level:8} {self.name:12} {found.text}", *mend]


def run_check(name: str, check: Callable[[], CheckFinding]) -> Check:
    """Run one check; any exception in it is a problem."""
    try:
        return Check(name, check())
    except Exception as error:
        return Check(name, CheckFinding("problem", f"{type(error).__name__}: {error}"))
