"""A Gaussian process of the scores so far: what it believes of the rest of the space."""
