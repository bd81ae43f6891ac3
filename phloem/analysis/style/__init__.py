"""Style of figures and pages."""
