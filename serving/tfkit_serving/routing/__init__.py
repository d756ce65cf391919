"""Routing: which version a request goes to by weight, and a shadow that is asked too and compared."""

from tfkit_serving.routing.split import STICKY_HEADER, Split, by_model, parse_split

__all__ = ["STICKY_HEADER", "Split", "by_model", "parse_split"]
