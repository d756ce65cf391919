"""What to install when an import fails: found in the metadata of the distribution that wanted it."""

from __future__ import annotations

import re
from collections import Counter
from importlib.metadata import PackageNotFoundError, requires

# Import names that differ from their distribution's by more than a hyphen.
_DISTRIBUTIONS = {"sklearn": "scikit-learn", "tensorflow_serving": "tensorflow-serving-api"}


def explain_missing(owner: str, error: ModuleNotFoundError, distribution: str = "tfkit-keras") -> str:
    """Says which distribution is missing and the pip command that brings it.

    Args:
        owner: What needs it, such as "compressor 'prune'".
        error: The failed import.
        distribution: The distribution whose extras are looked through.

    Example:
        >>> explain_missing("compressor 'prune'", ModuleNotFoundError(name="tensorflow_model_optimization"))
        "compressor 'prune' needs tensorflow-model-optimization: pip install 'tfkit-keras[compress]'"
    """
    module = (error.name or str(error)).partition(".")[0]
    wanted = _DISTRIBUTIONS.get(module, module.replace("_", "-"))
    extra = _extra_with(wanted, distribution)
    install = f"'{distribution}[{extra}]'" if extra else wanted
    return f"{owner} needs {wanted}: pip install {install}"


def _extra_with(wanted: str, distribution: str) -> str | None:
    try:
        lines = requires(distribution) or []
    except (PackageNotFoundError, ValueError):
        return None
    sizes: Counter[str] = Counter()
    found = set()
    for line in lines:
        requirement, _, marker = line.partition(";")
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", marker)
        name = re.match(r"[\w.-]+", requirement.strip())
        if not (extra and name):
            continue
        sizes[extra.group(1)] += 1
        if name.group().replace("_", "-").lower() == wanted:
            found.add(extra.group(1))
    # The extra of the same name, else the one that brings the least besides.
    return min(found, key=lambda each: (each != wanted, sizes[each]), default=None)
