"""Refusals that are gathered, so that all that is wrong with an input is told at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from phloem.errors import InputError


class SeveralFindingsError(InputError):
    """Several things that are wrong, told at once.

    Attributes:
        findings: one line each.
    """

    def __init__(self, where: str, findings: Sequence[str]) -> None:
        super().__init__(f"{where}: {len(findings)} findings:\n  " + "\n  ".join(findings))
        self.findings = tuple(findings)


class Refusals:
    """What is wrong with an input, gathered so that all of it is told at once."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @contextlib.contextmanager
    def gather(self) -> Iterator[None]:
        """Keep a refusal instead of raising it."""
        try:
            yield
        except SeveralFindingsError as error:
            self.lines += error.findings
        except InputError as error:
            self.lines.append(str(error))

    def refuse(self, where: str) -> None:
        """Raise what was gathered.

        Raises:
            InputError: anything was.
        """
        lines = list(dict.fromkeys(self.lines))
        if len(lines) == 1:
            raise InputError(lines[0])
        if lines:
            raise SeveralFindingsError(where, lines)
