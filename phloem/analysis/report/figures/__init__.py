"""Figures of the report: towers, attribution, still maps."""
