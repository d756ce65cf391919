"""Channel pruning with smaller shapes: whole channels, units and heads go, and the model that is left is smaller."""
