"""Versions of JAX that phloem is tested with, and what to install where another is found."""

from __future__ import annotations

import importlib.metadata
import os
import re

OLDEST, NEXT = (0, 10), (0, 13)
"""First version that works, and the first that was not there to be tested (`make test-jax` runs the ends)."""

INSTALL = f"pip install 'jax>={OLDEST[0]}.{OLDEST[1]},<{NEXT[0]}.{NEXT[1]}'"

REGARDLESS = "PHLOEM_ANY_JAX"
"""Set to 1, it lets versions pass that are known not to work."""

PLUGINS = ("jax-cuda12-plugin", "jax-cuda12-pjrt", "jax-cuda13-plugin", "jax-cuda13-pjrt")
"""Packages by which JAX computes on GPUs; jaxlib takes those of its own version only."""


def jax_problem() -> str:
    """Return what is wrong with the JAX that is installed, and what mends it; empty where nothing is.

    Only the packages' metadata are read: this takes a millisecond, importing JAX a second.
    """
    jax, jaxlib = installed("jax"), installed("jaxlib")
    if jax is None:
        return f"jax is not installed: {INSTALL}"
    if jaxlib is None:
        return f"jax {jax} is installed without jaxlib: pip install 'jax=={jax}' 'jaxlib=={jax}'"
    if _numbers(jax) < OLDEST:
        return f"jax {jax} is older than any that phloem works with: {INSTALL}"
    if _numbers(jax)[:2] != _numbers(jaxlib)[:2]:
        return f"jax {jax} and jaxlib {jaxlib} do not go together: pip install 'jax=={jax}' 'jaxlib=={jax}'"
    return ""


def jax_doubt() -> str:
    """Return what is untested about the JAX that is installed, and what to install instead; empty where nothing is."""
    jax, jaxlib = installed("jax"), installed("jaxlib")
    if jax is None or jaxlib is None:
        return ""
    if _numbers(jax)[:2] >= NEXT:
        return f"jax {jax} is newer than phloem was tested with; where it does not work: {INSTALL}"
    for plugin in PLUGINS:
        found = installed(plugin)
        if found is not None and _numbers(found)[:3] != _numbers(jaxlib)[:3]:
            return f"{plugin} {found} is not of jaxlib {jaxlib}: no GPU is found; pip install '{plugin}=={jaxlib}'"
    return ""


def allowed() -> bool:
    """Return whether versions that are known not to work are to be tried all the same."""
    return os.environ.get(REGARDLESS, "") not in ("", "0")


def installed(package: str) -> str | None:
    """Return the version of an installed package, None where it is not there."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.match(r"\d+(\.\d+)*", version)[0].split("."))  # type: ignore[index]
