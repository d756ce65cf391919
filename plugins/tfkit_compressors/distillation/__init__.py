"""Distillation: a model learns from what another one answers."""
