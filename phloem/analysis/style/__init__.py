"""How figures and pages look and read."""
