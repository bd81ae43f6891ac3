"""What is made of trained networks: maps of parameters and monthly predictions."""
