"""Compressors, each wrong in one respect. The table names them after the check that finds it."""

from pathlib import Path

from bad_callbacks import LeavesARate

import tfkit


class Good:
    """Rounds the weights."""

    def compress(self, model, data, *, epochs, directory):
        if epochs:
            model.fit(*data.train, epochs=epochs, verbose=0)
        model.set_weights([each.round(2) for each in model.get_weights()])
        return tfkit.Compressed(model=model)


class NotANumber(Good):
    def compress(self, model, data, *, epochs, directory):
        model.set_weights([each * float("nan") for each in model.get_weights()])
        return tfkit.Compressed(model=model)


class WritesBeside(Good):
    def compress(self, model, data, *, epochs, directory):
        path = Path("weights.txt")
        path.write_text(str(model.get_weights()))
        return tfkit.Compressed(model=model, artifacts={"text": path})


class AlwaysTrains(Good):
    def compress(self, model, data, *, epochs, directory):
        return super().compress(model, data, epochs=max(1, epochs), directory=directory)


class CallbackLeavesARate(Good):
    def callback(self):
        return LeavesARate()
