"""XLA's compiler for GPUs where there is no GPU: a plugin in a folder of its own, and H200s that are only compiled for."""
