"""Kinds of work: one module each, which ties together the rooms that a kind is made of."""
