"""Versions of JAX that are installed, read without importing it, beside those that the tests have passed with."""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
from dataclasses import dataclass

from phloem.errors import WorkError

OLDEST, BEYOND = (0, 10), (0, 13)
"""The first minor version with which the tests pass, the first with which they were not run; as in pyproject.toml."""
SKIP = "PHLOEM_ANY_JAX"
"""Environment variable: set to 1, nothing is said of versions of JAX."""
PLUGINS = ("jax-cuda12-plugin", "jax-cuda13-plugin", "jax-cuda12-pjrt", "jax-cuda13-pjrt")

_REMEDY = 'pip install "jax>=0.10,<0.13"'


@dataclass(frozen=True)
class Mismatch:
    """What is wrong with the versions installed.

    Attributes:
        breaks: True where JAX itself refuses to start; False where the tests were only not run.
        text: one line.
        remedy: the command that mends it.
    """

    breaks: bool
    text: str
    remedy: str


def installed(name: str) -> str | None:
    """Return the version of a distribution, None where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def find_mismatch() -> Mismatch | None:
    """Return the worst that is wrong with jax, jaxlib and CUDA plugins as installed; None where they were tested."""
    return compare(installed("jax"), installed("jaxlib"), {name: installed(name) for name in PLUGINS})


def compare(jax: str | None, jaxlib: str | None, plugins: dict[str, str | None]) -> Mismatch | None:
    """Return the worst that is wrong with a set of versions; None where the tests have passed with them.

    Args:
        jax: version of jax, None where it is missing.
        jaxlib: version of jaxlib.
        plugins: version of each CUDA plugin by name of its distribution; None for one that is missing.
    """
    if jax is None or jaxlib is None:
        return Mismatch(True, f"{'jax' if jax is None else 'jaxlib'} is not installed", _REMEDY)
    ours, library = _numbers(jax), _numbers(jaxlib)
    tested = OLDEST <= ours[:2] < BEYOND
    pair = f'pip install "jax=={jax}" "jaxlib=={jax}"' if tested else _REMEDY
    if library > ours:
        return Mismatch(True, f"jaxlib {jaxlib} is newer than jax {jax}, which refuses it", pair)
    if not tested:
        return Mismatch(False, f"jax {jax} is untested; phloem is tested with jax 0.10 to 0.12", _REMEDY)
    if library < ours:
        return Mismatch(False, f"jaxlib {jaxlib} is older than jax {jax}; only equal versions are tested", pair)
    for name, version in plugins.items():
        if version is not None and _numbers(version) != library:
            text = f"{name} {version} is not for jaxlib {jaxlib}, so JAX leaves GPUs unused"
            return Mismatch(False, text, f'pip install "{name}=={jaxlib}"')
    return None


def require_tested_jax() -> None:
    """Say on standard error what is wrong with JAX as installed.

    Raises:
        WorkError: where JAX would refuse to start.
    """
    if os.environ.get(SKIP) == "1":
        return
    found = find_mismatch()
    if found is None:
        return
    line = f"{found.text}; {found.remedy}"
    if found.breaks:
        raise WorkError(line)
    print(f"phloem: warning: {line} (or export {SKIP}=1 to hear no more of it)", file=sys.stderr)


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a release: (0, 12, 0, 1) of "0.12.0.1", (0, 13, 0) of "0.13.0.dev1"."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()
