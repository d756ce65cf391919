"""Optuna's samplers behind an oracle."""
