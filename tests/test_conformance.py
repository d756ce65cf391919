"""Every plugin of this distribution keeps to what its kind promises."""

import tfkit.testing


@tfkit.testing.parametrize("tfkit-keras")
def test_conformance(plugin, check):
    check(plugin)
