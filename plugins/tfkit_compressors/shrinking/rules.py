"""The rules by Keras type: how channels go through each operation that tfkit can shrink."""

from __future__ import annotations

from tfkit_compressors.shrinking import attention, elementwise, recurrent, shapes, weighted
from tfkit_compressors.shrinking.trace import Rule

RULES: dict[str, Rule] = {
    **elementwise.RULES,
    **weighted.RULES,
    **shapes.RULES,
    **recurrent.RULES,
    **attention.RULES,
}
RULES["layers.TimeDistributed"] = recurrent.time_distributed(RULES)
