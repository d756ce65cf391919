"""How the tests are spread over the workers of pytest-xdist."""

import gc
from collections import Counter

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

from tfkit import worker

# A test of these files takes long alone, and shares nothing dear with its neighbours.
_SPREAD = (
    "test_docs.py",
    "test_equalize.py",
    "test_plugin_template.py",
    "test_prune_ways.py",
    "test_qat_files.py",
    "test_recipes.py",
    "test_search.py",
)


# A file's tests may take minutes between two conversions: the process that converts is there for both.
worker._IDLE = 600.0


class ByFile(LoadScopeScheduling):
    """The tests of a file go to one worker, which makes the file's fixtures once.

    pytest-xdist's own --dist loadgroup does nothing under pytest 9.2, where tests have no `_nodeid` to be marked.
    """

    def _split_scope(self, nodeid):
        path = nodeid.split("::", 1)[0]
        if path.endswith("test_conformance.py"):
            return nodeid.rpartition("/")[0]  # the checks of a plugin share what they make
        return nodeid if path.rsplit("/", 1)[-1] in _SPREAD else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return ByFile(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Files with slow tests go first; the kit over what converts a twin of a model, for minutes, at night alone."""
    for item in items:
        if item.nodeid.startswith("tests/test_conformance.py") and "[compressor/tfmot-qat/" in item.nodeid:
            item.add_marker("nightly")
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


def pytest_collection_finish():
    """What the imports have made is never collected: it would be looked through each time."""
    gc.collect()
    gc.freeze()
