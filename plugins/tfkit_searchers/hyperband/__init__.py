"""Hyperband: many configurations for a few epochs, the best ones for more."""
