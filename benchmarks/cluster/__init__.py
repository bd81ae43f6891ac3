"""A model of a cluster in closed form and by simulation: what very large campaigns cost."""
