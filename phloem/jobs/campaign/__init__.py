"""A campaign on disk: its plan, its cells, its backend."""
