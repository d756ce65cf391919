"""Weights kept within a bound."""
