"""Magnitude pruning with TFMOT's engine."""
