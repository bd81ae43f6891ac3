"""Findings of quality control in a file, and the repair, report or refusal that follows by quality mode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from phloem.errors import InputError

Severity = Literal["note", "repaired", "warning"]


Level = Literal["note", "warning", "defect", "mendable", "fatal"]


QUALITY = ("repair", "keep", "refuse")
"""Mend what can be mended with certainty; report only; refuse what would need mending."""


@dataclass(frozen=True)
class Finding:
    """Finding of quality control in one variable of one cell.

    Attributes:
        cell: Name of the cell.
        variable: Name of the variable as the file spells it; several are separated by spaces.
        severity: `note` (harmless), `repaired` (values were changed) or `warning` (values are as they were).
        message: One sentence for the person who owns the data.
    """

    cell: str
    variable: str
    severity: Severity
    message: str


@dataclass(frozen=True)
class Issue:
    """A defect that a check found.

    Attributes:
        level: `note` and `warning` are reported; a `defect` is mended under "repair", reported under "keep"
            and refused under "refuse"; a `mendable` is mended under "repair" and refused otherwise, because
            values of the wrong kind cannot be kept; a `fatal` is always refused.
        message: What is wrong.
        remedy: What was done about it, where `mended` was taken.
        mended: The arrays that replace the defective ones, by variable.
    """

    level: Level
    message: str
    remedy: str = ""
    mended: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass
class Audit:
    """Collects the findings of one file and turns all that cannot be accepted into one InputError.

    Attributes:
        path: The file; the cell has its name without the suffix.
        quality: One of `QUALITY`.
        findings: What was reported so far.
        defects: What cannot be accepted so far, by variable; all of a file are told at once.
        name: Of the cell, where it does not come from a file; `path` is then what to call its arrays.
    """

    path: Path
    quality: str
    findings: list[Finding] = field(default_factory=list)
    defects: dict[str, str] = field(default_factory=dict)
    name: str = ""

    @property
    def cell(self) -> str:
        """Name of the cell."""
        return self.name or self.path.stem

    def add(self, variable: str, severity: Severity, message: str) -> None:
        """Report something about a variable."""
        self.findings.append(Finding(self.cell, variable, severity, message))

    def error(self, variable: str, message: str) -> InputError:
        """Return the error that names file, cell and variable, after what was found before that cannot be accepted."""
        self.refuse(variable, message)
        lines = [f"{self.path}: cell {self.cell}: variable {name}: {text}" for name, text in self.defects.items()]
        return InputError("\n".join(lines))

    def refuse(self, variable: str, message: str) -> None:
        """Note what cannot be accepted; the first of a variable counts, others may follow from it."""
        self.defects.setdefault(variable, message)

    def raise_defects(self) -> None:
        """Raise an InputError that tells all that cannot be accepted, where there is anything."""
        if self.defects:
            raise self.error(*next(iter(self.defects.items())))

    def apply_quality(self, variable: str, issue: Issue | None, values: dict[str, np.ndarray]) -> None:
        """Report an issue and mend `values` in place as the quality mode says, or note what cannot be accepted."""
        if issue is None:
            return
        done = f"{issue.message}; {issue.remedy}" if issue.remedy else issue.message
        if issue.level == "fatal":
            self.refuse(variable, issue.message)
            return
        if issue.level in ("defect", "mendable"):
            if self.quality == "refuse" or (self.quality == "keep" and issue.level == "mendable"):
                self.refuse(variable, f'{issue.message}; quality = "repair" mends it')
                return
            if self.quality == "keep":
                self.add(variable, "warning", f"{issue.message}; kept as it is")
                return
            self.add(variable, "repaired", done)
        else:
            self.add(variable, "warning" if issue.level == "warning" else "note", done)
        values.update(issue.mended)
