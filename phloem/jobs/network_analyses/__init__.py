"""Evaluation, attribution and report of trained networks."""
