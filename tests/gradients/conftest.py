"""These tests compare with float64, which jax leaves off unless it is asked for."""

from builders import double_precision

__all__ = ["double_precision"]
