"""Labels that come back: rolling accuracy by model and version."""

from tfkit_serving.feedback.book import FeedbackBook, UnknownPrediction, is_number
from tfkit_serving.feedback.memory import Prediction, PredictionMemory
from tfkit_serving.feedback.quality import Quality, RollingQuality

__all__ = [
    "FeedbackBook",
    "Prediction",
    "PredictionMemory",
    "Quality",
    "RollingQuality",
    "UnknownPrediction",
    "is_number",
]
