"""The gpu backend: the fold as CUDA, printed by the same printer as the C of the cpu backend."""
