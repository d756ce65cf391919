"""Batches whose rows are mixed with each other."""
