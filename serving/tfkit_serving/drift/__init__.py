"""Drift: how far the rows that a model is asked are from those that it was trained on."""

from tfkit_serving.drift.distances import index_by_chance, kolmogorov_smirnov, stability_index
from tfkit_serving.drift.observer import DriftObserver

__all__ = ["DriftObserver", "index_by_chance", "kolmogorov_smirnov", "stability_index"]
