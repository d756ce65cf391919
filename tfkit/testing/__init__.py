"""The conformance kit: what every plugin of a kind keeps to, for those who write plugins and for `plugins check`.

In the tests of a plugin package::

    import tfkit.testing

    @tfkit.testing.parametrize("my-distribution")
    def test_conformance(plugin, check):
        check(plugin)
"""

from tfkit.errors import ConformanceError
from tfkit.testing.kit import check, checks
from tfkit.testing.parameters import parametrize

__all__ = ["ConformanceError", "check", "checks", "parametrize"]
