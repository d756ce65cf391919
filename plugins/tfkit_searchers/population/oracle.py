"""Population-based training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus

from tfkit.errors import ParameterError, SearchError
from tfkit_searchers import space
from tfkit_searchers.continued import ENDED, EPOCHS, INITIAL_EPOCH, TRIAL_ID, best_first, plain, trained
from tfkit_searchers.oracle import DurableOracle
from tfkit_searchers.population.explore import explored

_DRAWS = 100


class PopulationSearch(DurableOracle):
    """Members that train side by side; the bad ones go on from the good ones, with values near theirs.

    Population-based training (Jaderberg et al. 2017): values may change while a model is trained, as a learning rate
    that falls. Each generation trains every member for `interval` epochs, each as a trial of its own, whose values
    say from which trial's weights (`tuner/trial_id`), from and to which epoch (`tuner/initial_epoch`,
    `tuner/epochs`). When all have ended, each of the worst quarter, and each that failed, takes the weights of one of
    the best quarter and explores round its values: numbers times 0.8 or 1.25, steps to the next one, some drawn anew.

    Args:
        objective: As for `DurableOracle`, as are all others.
        max_trials: Trials in all; None runs all generations.
        population: Members.
        interval: Epochs of a generation.
        generations: Generations.
        resample: Share of the values that exploring draws anew.
        fixed: Names of hyperparameters that give the weights their shape, such as widths; they go with the weights.
        **options: The arguments of `DurableOracle`.

    Attributes:
        continues: True: trials begin with the final weights of others.

    Raises:
        ParameterError: While searching: `fixed` has a name that the space lacks.
        SearchError: While searching: the trials so far are of another interval.

    Example:
        >>> import keras_tuner
        >>> hp = keras_tuner.HyperParameters()
        >>> _ = hp.Float("rate", 1e-4, 1e-1, sampling="log")
        >>> oracle = PopulationSearch("val_loss", population=2, interval=3, hyperparameters=hp, seed=0)
        >>> oracle.verbose = 0
        >>> for _ in range(2):
        ...     trial = oracle.create_trial("me")
        ...     _ = oracle.update_trial(trial.trial_id, {"val_loss": trial.hyperparameters.get("rate")})
        ...     trial.status = "COMPLETED"
        ...     oracle.end_trial(trial)
        >>> values = oracle.create_trial("me").hyperparameters.values
        >>> values["tuner/initial_epoch"], values["tuner/epochs"], values["tuner/trial_id"] in oracle.trials
        (3, 6, True)
    """

    continues = True
    takes_constraints = False

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = None,
        population: int = 12,
        interval: int = 1,
        generations: int = 10,
        resample: float = 0.25,
        fixed: Sequence[str] = (),
        **options: Any,
    ) -> None:
        self.population, self.interval, self.generations = population, interval, generations
        self.resample, self.fixed = resample, tuple(fixed)
        super().__init__(objective, max_trials, **options)

    def needed(self) -> set[str]:
        """Ids of the trials whose final weights may still be trained further."""
        with self._lock:
            self._open()
            return self._needed(self._generations())

    def propose(self, number: int) -> space.Values | None:
        generations = self._generations()
        generator = self.generator(number)
        if len(generations) <= 1:
            values = self._begun(generations, generator)
            if values is not None:
                return trained(values, self.interval)
        return self._member(generations, generator) if generations else None

    def _begun(self, generations: list[list[Trial]], generator: np.random.Generator) -> space.Values | None:
        if generations and len(generations[0]) >= self.population:
            return None
        return self.first_new((space.drawn(self.hyperparameters.space, generator) for _ in range(_DRAWS)), generator)

    def _member(self, generations: list[list[Trial]], generator: np.random.Generator) -> space.Values | None:
        """The next member of the generation that is being filled; None while the one before is training."""
        before, filling = generations[-1], []
        if len(generations) > 1 and len(before) < len(generations[-2]):
            before, filling = generations[-2:]
        elif len(generations) == self.generations:
            return None
        if not all(trial.status in ENDED for trial in before):
            return None
        member = before[len(filling)]
        best = best_first(before, self.objective.direction)
        share = max(len(before) // 4, 1) if len(before) > 1 else 0
        if not best:
            return None
        if member in best[: len(before) - share]:
            return self._continued(member, plain(member.hyperparameters.values))
        return self._replaced(member, best[: max(share, 1)], filling, generator)

    def _replaced(
        self, member: Trial, best: Sequence[Trial], filling: Sequence[Trial], generator: np.random.Generator
    ) -> space.Values:
        """One that goes on from one of the best, with values that no other one goes on with from there."""
        used = {(each.hyperparameters.values[TRIAL_ID], self._key(each.hyperparameters.values)) for each in filling}
        used |= {(each.trial_id, self._key(each.hyperparameters.values)) for each in best}
        for parent, values in self._explored(best, generator):
            if (parent.trial_id, self._key(values)) not in used:
                return self._continued(parent, values)
        # There is nothing else near: it goes on as it was, or where it failed as the best one.
        last = member if member.status == TrialStatus.COMPLETED else best[0]
        return self._continued(last, plain(last.hyperparameters.values))

    def _explored(self, best: Sequence[Trial], generator: np.random.Generator) -> Iterator[tuple[Trial, space.Values]]:
        parameters = self.hyperparameters.space
        self._check_fixed()
        for _ in range(_DRAWS):
            parent = best[int(generator.integers(len(best)))]
            yield parent, explored(parameters, parent.hyperparameters.values, self.fixed, self.resample, generator)

    def _continued(self, parent: Trial, values: space.Values) -> space.Values:
        begun = parent.hyperparameters.values[EPOCHS]
        return trained(values, begun + self.interval, begun, parent)

    def _needed(self, generations: list[list[Trial]]) -> set[str]:
        if not generations:
            return set()
        last = generations[-1]
        # A trial that is run again begins with its parent's weights again.
        found = {str(each.hyperparameters.values.get(TRIAL_ID)) for each in last if each.status not in ENDED}
        if len(generations) > 1 and len(last) < len(generations[-2]):
            found |= {each.trial_id for each in generations[-2]}
        if len(generations) < self.generations:
            found |= {each.trial_id for each in last}
        return {each for each in found if each in self.trials and self.trials[each].status != TrialStatus.FAILED}

    def _generations(self) -> list[list[Trial]]:
        """The trials of each generation so far, in the order of the members."""
        found: list[list[Trial]] = []
        for trial in self.trials.values():
            generation = self._generation(trial)
            found.extend([] for _ in range(generation + 1 - len(found)))
            found[generation].append(trial)
        return found

    def _generation(self, trial: Trial) -> int:
        begun, ended = (trial.hyperparameters.values.get(each, 0) for each in (INITIAL_EPOCH, EPOCHS))
        if ended - begun != self.interval:
            raise SearchError(
                f"trial {trial.trial_id} is of a generation of {ended - begun} epochs; got interval={self.interval}: "
                "go on as it was begun, or search in another directory"
            )
        return int(begun) // self.interval

    def _check_fixed(self) -> None:
        names = {each.name for each in self.hyperparameters.space}
        for name in self.fixed:
            if name not in names:
                raise ParameterError(
                    f"the parameter 'fixed' of searcher 'population' names {name!r}, which is no hyperparameter: "
                    f"there are {', '.join(sorted(names))}"
                )
