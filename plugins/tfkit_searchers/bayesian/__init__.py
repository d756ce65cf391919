"""Bayesian search: the point that a model of the scores so far promises the most of."""
