"""XLA's compiler for GPUs without a GPU: a plugin in a folder of its own, H200s that are only compiled for."""
