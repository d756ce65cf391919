"""scikit-learn's face: Keras models as its estimators, and a search that cross-validates them."""

from tfkit.errors import PluginNotFound
from tfkit.missing import explain_missing

try:
    from tfkit.sklearn.estimators import KerasClassifier, KerasRegressor
    from tfkit.sklearn.search_cv import KerasSearchCV
except ModuleNotFoundError as error:
    raise PluginNotFound(explain_missing("tfkit.sklearn", error)) from error

__all__ = ["KerasClassifier", "KerasRegressor", "KerasSearchCV"]
