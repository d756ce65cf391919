"""ModelSpec: which model and version a request is for."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ModelSpec:
    """A model, with a version or a label; neither is the latest version that is available.

    Attributes:
        name: The model's name.
        version: The version's number.
        label: A label of the configuration, such as "stable".
        key: What keeps the caller on one version of a split, or None.

    Example:
        >>> str(ModelSpec("digits")), str(ModelSpec("digits", 3))
        ('Latest(digits)', 'Specific(digits, 3)')
    """

    name: str
    version: int | None = None
    label: str | None = None
    key: str | None = field(default=None, repr=False)  # a user's name, perhaps

    def __str__(self) -> str:
        """As TensorFlow Serving writes it in its errors."""
        return f"Latest({self.name})" if self.version is None else f"Specific({self.name}, {self.version})"
