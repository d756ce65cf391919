"""What the trials so far make one believe of the rest of the space."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tfkit_searchers.encoding import Encoding
from tfkit_searchers.surrogate.fit import fit
from tfkit_searchers.surrogate.process import Kernel, Posterior
from tfkit_searchers.surrogate.thin import kept
from tfkit_searchers.surrogate.warp import warped

# What a belief rests on, and a fit of its kernel, at most.
_MOST = 250
_MOST_FOR_FIT = 90
_CENTERS = 5
# How far the surroundings of a point reach, in length scales.
_BASIN = 0.6
# A search stalls where so many trials have brought less than this, in standard deviations of the warped scores.
_PATIENCE = 10
_GAIN = 0.05


@dataclass(frozen=True)
class Seen:
    """Points of the trials, of shape (trials, axes).

    Attributes:
        done: Those that were completed.
        targets: Their warped scores, to be minimized.
        failed: Those that have failed.
        pending: Those that are running.
        feasible: Which of those completed keep to all bounds; None where all do.
        own: Which of those completed are of this search; None where all are.
    """

    done: np.ndarray
    targets: np.ndarray
    failed: np.ndarray
    pending: np.ndarray
    feasible: np.ndarray | None = None
    own: np.ndarray | None = None


@dataclass(frozen=True)
class Belief:
    """What is believed of the function.

    Attributes:
        posterior: Of warped scores, to be minimized.
        best: The least mean at a point that was completed within the bounds, or is running.
        points: The completed points that it rests on, those within the bounds and of the lowest means first.
        means: Theirs.
        closed: Features of a point round which nothing is looked for, over the length scales; None without.
        lengths: The length scales.
    """

    posterior: Posterior
    best: float
    points: np.ndarray
    means: np.ndarray
    lengths: np.ndarray
    closed: np.ndarray | None = None

    @property
    def centers(self) -> np.ndarray:
        """The points to look round."""
        return self.points[:_CENTERS]

    def is_open(self, features: np.ndarray) -> np.ndarray:
        """Whether points are to be looked at."""
        if self.closed is None:
            return np.ones(len(features), bool)
        return ((features / self.lengths - self.closed) ** 2).sum(1) > _BASIN**2

    def elsewhere(self, encoding: Encoding) -> Belief:
        """The same for a search that leaves out the best point's surroundings, and improves on the best one beyond."""
        features = encoding.features(self.points)
        away = replace(self, closed=features[0] / self.lengths)
        open_ = away.is_open(features)
        if not open_.any():
            return self
        return replace(away, points=self.points[open_], means=self.means[open_], best=float(self.means[open_][0]))


def fitted(encoding: Encoding, points: np.ndarray, scores: np.ndarray) -> Kernel:
    """The kernel that explains the scores of completed trials, to be minimized. Failed trials do not count."""
    features, targets = encoding.features(points), warped(scores)
    few = kept(features, targets, _MOST_FOR_FIT)
    return fit(features[few], encoding.axis_of, targets[few])


def believed(encoding: Encoding, kernel: Kernel, seen: Seen) -> Belief:
    """Conditions on every trial.

    A failed trial counts as bad as the worst that was completed; one that is running as good as it is believed
    to be, which leaves the mean as it is and takes away the doubt, so that nobody goes to the same place.
    """
    features, targets = encoding.features(seen.done), seen.targets
    few = np.union1d(kept(features, targets, _MOST), _reached(seen))
    failed = encoding.features(seen.failed[-_MOST:])
    told = np.concatenate([features[few], failed])
    values = np.concatenate([targets[few], np.full(len(failed), targets.max())])
    posterior = Posterior(kernel, told, values)
    means = posterior.at(features[few])[0]
    is_feasible, is_own = (np.ones(len(few), bool) if each is None else each[few] for each in (seen.feasible, seen.own))
    order = np.lexsort((means, ~is_feasible))
    # What an earlier search has reached is still to be reached here.
    best = float(means[is_feasible & is_own].min(initial=means.max()))
    if len(seen.pending):
        pending = encoding.features(seen.pending)
        hoped = posterior.at(pending)[0]
        best = min(best, float(hoped.min()))
        posterior = Posterior(kernel, np.concatenate([told, pending]), np.concatenate([values, hoped]))
    return Belief(posterior, best, seen.done[few][order], means[order], kernel.lengths)


def _reached(seen: Seen) -> np.ndarray:
    """The index of the best completed point of this search within all bounds, an array of one; of none where none is.

    All that is better may be out of bounds, or of an earlier search.
    """
    within = [np.ones(len(seen.done), bool) if each is None else each for each in (seen.feasible, seen.own)]
    places = np.flatnonzero(np.logical_and(*within))
    return places[np.argsort(seen.targets[places], kind="stable")[:1]]


def is_stalled(targets: np.ndarray) -> bool:
    """Whether the latest trials have brought next to nothing: then the best point is perhaps not the only good one.

    Args:
        targets: Warped scores of completed trials, to be minimized, in their order.
    """
    if len(targets) < 2 * _PATIENCE:
        return False
    return bool(targets[:-_PATIENCE].min() - targets.min() < _GAIN)
