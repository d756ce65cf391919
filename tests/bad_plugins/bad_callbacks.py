"""Callbacks, each wrong in one respect. The table names them after the check that finds it."""

import keras


class FailsInTheSecondEpoch(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise RuntimeError("epoch 1")


class ServesOneFit(keras.callbacks.Callback):
    used = False

    def on_train_begin(self, logs=None):
        if self.used:
            raise RuntimeError("used already")
        self.used = True


class LeavesARate(keras.callbacks.Callback):
    def on_train_end(self, logs=None):
        self.model.optimizer.learning_rate = 0.01
