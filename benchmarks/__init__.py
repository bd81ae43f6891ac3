"""What the figures in README and RESULTS.md come from."""
