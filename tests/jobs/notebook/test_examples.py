"""What docs/python.md and the docstrings show is what comes out."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import phloem
from tests.support.examples import failing_examples


def _documented() -> Iterator[str]:
    """Names of everything public that computes, draws or reads: functions, and methods and properties of classes."""
    for name in phloem.__all__:
        found = getattr(phloem, name)
        if inspect.isfunction(found):
            yield name
        elif inspect.isclass(found) and not issubclass(found, Exception):
            yield name
            members = (key for key, value in vars(found).items() if callable(value) or isinstance(value, property))
            yield from (f"{name}.{key}" for key in members if not key.startswith("_"))


PLAIN = {"OpenedCampaign.directory", "OpenedCampaign.name", "OpenedCampaign.experiment"}
"""What a word says as well as an example."""


def test_every_example_of_the_page_gives_what_it_says(page: Path) -> None:
    count, failures = json.loads((page / "examples.json").read_text())
    assert failures == ""
    assert count > 40


@pytest.mark.parametrize("name", sorted(set(_documented()) - PLAIN))
def test_a_docstring_has_an_example_that_gives_what_it_says(name: str, page: Path) -> None:
    found = phloem
    for part in name.split("."):
        found = inspect.getattr_static(found, part) if part != name.split(".")[0] else getattr(phloem, part)
    count, failures = failing_examples(inspect.getdoc(found) or "", name, page)
    assert failures == ""
    assert count > 0
