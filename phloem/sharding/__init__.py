"""How lanes are laid on devices and processes, and what memory that takes."""
