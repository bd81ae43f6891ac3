"""Kernels of the gpu backend: compiled here without a GPU, and measured where there is one."""
