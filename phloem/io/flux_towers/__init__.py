"""Monthly tables of eddy-covariance towers: readers, quality control, provenance."""
