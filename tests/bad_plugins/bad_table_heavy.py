"""A table that imports a framework, which makes every listing slow."""

import bad_table
import numpy  # noqa: F401

import tfkit


@tfkit.hookimpl
def tfkit_schedules():
    yield bad_table.spec("table-imports-no-framework", "bad_schedules:Good")
