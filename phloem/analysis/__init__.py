"""Merged products, read for attribution, benchmarking, curves and the report."""
