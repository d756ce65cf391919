"""Every plugin of this distribution keeps to what its kind promises."""

import tfkit.testing


@tfkit.testing.parametrize("my-tfkit-plugin")
def test_conformance(plugin, check):
    """One plugin and one check of its kind."""
    check(plugin)
