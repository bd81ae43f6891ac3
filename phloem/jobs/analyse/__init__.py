"""Attribution, benchmark and report of merged campaigns."""
