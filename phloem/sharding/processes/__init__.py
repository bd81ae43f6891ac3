"""Several processes that compute together: their start, their rendezvous, their mesh, exact sums."""
