"""What to install when an import fails: found in the metadata of the distribution that wanted it."""

from __future__ import annotations

import re
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
    brought: dict[str, set[str]] = {}
    for line in lines:
        requirement, _, marker = line.partition(";")
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", marker)
        name = re.match(r"[\w.-]+", requirement.strip())
        if extra and name:
            brought.setdefault(extra.group(1), set()).add(name.group().replace("_", "-").lower())
    found = [extra for extra, names in brought.items() if wanted in names]
    # The extra of the same name, else the one that brings the least besides; of equal ones that of a package's name.
    order = {each: (each != wanted, len(brought[each]), each not in brought[each], each) for each in found}
    return min(found, key=lambda each: order[each], default=None)
