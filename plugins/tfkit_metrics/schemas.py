"""Parameters of the metrics. Free of frameworks."""

from dataclasses import dataclass
from typing import Annotated, Literal

from tfkit.parameters import Ge, Gt, Le

ZeroDivision = Annotated[float, Ge(0), Le(1), "Score of a class for which it is 0 / 0."]


@dataclass(frozen=True, kw_only=True)
class Regression:
    name: Annotated[str | None, "Its name in logs; None is the plugin's, in snake_case."] = None
    dtype: Annotated[str | None, "Dtype of the result; sums are float64."] = None


@dataclass(frozen=True, kw_only=True)
class Classification:
    num_classes: Annotated[int | None, Ge(2), "Number of classes; None takes it from the predictions."] = None
    multi_label: Annotated[bool, "Whether a row may have several labels: one column of 0 or 1 for each."] = False
    from_logits: Annotated[bool, "Whether predictions come before the sigmoid or softmax."] = False
    threshold: Annotated[float, Ge(0), Le(1), "Probability above which a label holds; binary and multi-label."] = 0.5
    name: Annotated[str | None, "Its name in logs; None is the plugin's, in snake_case."] = None
    dtype: Annotated[str | None, "Dtype of the result; the counts are float64."] = None


@dataclass(frozen=True, kw_only=True)
class Averaged(Classification):
    average: Annotated[
        Literal["micro", "macro", "weighted", "binary"] | None,
        "How classes are brought together; None gives the score of each.",
    ] = "macro"
    zero_division: ZeroDivision = 0.0


@dataclass(frozen=True, kw_only=True)
class Fbeta(Averaged):
    beta: Annotated[float, Gt(0), "How many times recall counts as much as precision."]


@dataclass(frozen=True, kw_only=True)
class BalancedAccuracy(Classification):
    multi_label: Annotated[Literal[False], "Not defined for several labels in a row."] = False


@dataclass(frozen=True, kw_only=True)
class ConfusionMatrix(Classification):
    normalize: Annotated[
        Literal["true", "pred", "all"] | None, "What is divided by: the row's sum, the column's, or the whole."
    ] = None


@dataclass(frozen=True, kw_only=True)
class TopK(BalancedAccuracy):
    k: Annotated[int, Ge(1), "How many of the highest scores count."] = 5


@dataclass(frozen=True, kw_only=True)
class Agreement(BalancedAccuracy):
    zero_division: Annotated[float, Ge(-1), Le(1), "The result where all rows are of one class."] = 0.0


@dataclass(frozen=True, kw_only=True)
class CalibrationError(Classification):
    bins: Annotated[int, Ge(1), "Number of bins of confidence, of equal width."] = 15


@dataclass(frozen=True, kw_only=True)
class Ranked(Classification):
    average: Annotated[
        Literal["micro", "macro", "weighted", "binary"] | None,
        "How classes, each against the rest, are brought together; None gives the score of each.",
    ] = "macro"
    bins: Annotated[
        int | None, Ge(2), "None keeps all scores and is exact; else bins of log-odds, in fixed memory."
    ] = None
