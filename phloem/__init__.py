"""Phloem calibrates a differentiable land-carbon model in every grid cell, and survives the cluster it runs on."""

from phloem.version import VERSION

__version__ = VERSION
__all__ = ["__version__"]
