"""The cpu backend: model texts printed as C, compiled once, called by XLA."""
