"""How the tests are spread over the workers of pytest-xdist."""

import gc
from collections import Counter

import pytest

# A test of these files takes long alone, and shares nothing dear with its neighbours.
_SPREAD = (
    "test_conformance.py",
    "test_docs.py",
    "test_equalize.py",
    "test_plugin_template.py",
    "test_prune_ways.py",
    "test_qat_files.py",
    "test_recipes.py",
    "test_search.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """The tests of a file go to one worker, which makes the file's fixtures once; files with slow tests go first."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])
    for item in items:
        if item.path.name not in _SPREAD:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))


def pytest_collection_finish():
    """What the imports have made is never collected: it would be looked through each time."""
    gc.collect()
    gc.freeze()
