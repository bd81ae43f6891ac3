"""What `doctor` finds: one thing looked at, how bad it is, and the command that mends it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """What was found.

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
    """One thing looked at.

    Attributes:
        name: what.
        finding: what was found.
    """

    name: str
    finding: Finding

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


def look(name: str, at: Callable[[], Finding]) -> Check:
    """Look at something; whatever goes wrong in looking is a problem."""
    try:
        return Check(name, at())
    except Exception as error:
        return Check(name, Finding("problem", f"{type(error).__name__}: {error}"))
