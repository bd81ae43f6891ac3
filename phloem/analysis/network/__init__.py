"""Trained networks: scores of held-out cells, towers, variance shared out among set-ups, agreement of members."""
