"""References for benchmarks: maps, monthly series, growth curves, forest stands."""
