"""The file layout of the public DifferLand_Global code, read as patches."""
