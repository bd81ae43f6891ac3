"""Reads merged products: attribution, benchmarking, curves, report."""
