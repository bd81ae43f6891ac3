"""Monthly files: read, and turned into days."""
