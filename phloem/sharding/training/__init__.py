"""Training of networks over devices and processes: which patches a step takes, and the step."""
