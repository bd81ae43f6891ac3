"""The Ray engine: tasks in a Ray cluster, behind a driver process of its own."""
