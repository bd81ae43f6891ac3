"""The daily eight-pool DALEC (docs/science.md)."""
