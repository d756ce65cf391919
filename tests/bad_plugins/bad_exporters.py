"""Exporters, each wrong in one respect. The table names them after the check that finds it."""

from pathlib import Path

import keras


class Good:
    """Writes a .keras file."""

    def write(self, model, directory, sample):
        model.keras.save(directory / "model.keras")

    def predict(self, directory, inputs):
        (rows,) = inputs.values()
        return {"outputs": keras.saving.load_model(directory / "model.keras").predict(rows, verbose=0)}


class OtherValues(Good):
    """Wrong from five rows on, in the folder that it wrote to."""

    def predict(self, directory, inputs):
        found = super().predict(directory, inputs)["outputs"]
        return {"outputs": found + (0.01 if len(found) == 5 and directory.name == "written" else 0.0)}


class RowsOfTheSample(Good):
    def predict(self, directory, inputs):
        found = super().predict(directory, inputs)["outputs"]
        if len(found) != 5:
            raise ValueError("5 rows")
        return {"outputs": found}


class StaysWhereItIs(Good):
    def write(self, model, directory, sample):
        super().write(model, directory, sample)
        (directory / "where.txt").write_text(directory.name)

    def predict(self, directory, inputs):
        return super().predict(Path((directory / "where.txt").read_text()), inputs)


class TellsThePath(Good):
    def write(self, model, directory, sample):
        super().write(model, directory, sample)
        (directory / "log.txt").write_text(f"written to {directory.resolve()}")


class WritesBeside(Good):
    def write(self, model, directory, sample):
        super().write(model, directory, sample)
        Path("log.txt").write_text("written")


class ChangesTheModel(Good):
    def write(self, model, directory, sample):
        super().write(model, directory, sample)
        model.keras.set_weights([2 * each for each in model.keras.get_weights()])
