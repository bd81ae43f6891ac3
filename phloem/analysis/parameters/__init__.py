"""Parameter sets: derived quantities, screening, axes of strategy."""
