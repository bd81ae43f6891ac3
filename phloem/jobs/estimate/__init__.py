"""What a campaign will need, and what this machine can do."""
