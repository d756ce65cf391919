"""Genetic search: parents are selected, crossed and mutated; a model of the scores chooses among their children."""
