"""The fold over days: its tables, its value and derivatives as JAX primitives, its backends."""
