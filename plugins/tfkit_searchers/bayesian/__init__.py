"""Bayesian search: a Gaussian process of the scores so far, and the point that promises the most."""
