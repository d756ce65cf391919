"""Kernels as products of two thinner ones."""
