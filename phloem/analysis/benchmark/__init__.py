"""A campaign against references: pairs, scores, figures."""
