"""Kernels as products of two thinner ones, by their singular values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Rounding of float32 leaves this share of the squared singular values where a rank is exact.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Factors:
    """Two factors of a kernel.

    Attributes:
        down: Of the kernel's shape but for its last length, which is the rank.
        up: Shape (rank, output channels).
        lost: Frobenius norm of the kernel minus their product: the root of the sum of the dropped squares.
    """

    down: np.ndarray
    up: np.ndarray
    lost: float

    @property
    def rank(self) -> int:
        """Channels between the two."""
        return len(self.up)


def factors(kernel: np.ndarray, energy: float) -> Factors:
    """The two factors of least rank that keep a share of a kernel's squared singular values.

    A kernel is seen as a matrix from all it reads to its output channels: of a convolution from a patch. Both
    factors take the root of the singular values, so that they train alike. By Eckart and Young no product of
    that rank comes nearer.

    Source: for convolutions Zhang et al. 2016, Accelerating very deep convolutional networks.

    Args:
        kernel: Output channels last.
        energy: The share, above 0 and at most 1.

    Example:
        >>> found = factors(np.diag([4.0, 2.0, 1.0]), 0.95)
        >>> found.rank, round(found.lost, 6)
        (2, 1.0)
    """
    matrix = kernel.reshape(-1, kernel.shape[-1]).astype("float64")
    left, singular, right = np.linalg.svd(matrix, full_matrices=False)
    rank = rank_of(singular, energy)
    root = np.sqrt(singular[:rank])
    down = (left[:, :rank] * root).reshape(*kernel.shape[:-1], rank)
    return Factors(down, root[:, None] * right[:rank], float(np.linalg.norm(singular[rank:])))


def rank_of(singular: np.ndarray, energy: float) -> int:
    """The least number of singular values that keeps a share of their squares, at least 1."""
    squares = np.cumsum(singular**2)
    if not squares[-1]:
        return 1
    return int(np.searchsorted(squares / squares[-1], energy - _ROUNDING) + 1)


def saves(kernel: np.ndarray, rank: int) -> bool:
    """Whether two factors of a rank hold fewer numbers than the kernel."""
    outputs = kernel.shape[-1]
    return rank * (kernel.size // outputs + outputs) < kernel.size
