"""Weights that share a few values."""
