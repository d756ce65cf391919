"""Strategies, each wrong in one respect. The table names them after the check that finds it."""

import contextlib

import tensorflow as tf


class EmptyScope(tf.distribute.OneDeviceStrategy):
    def __init__(self):
        super().__init__("/cpu:0")

    def scope(self):
        return contextlib.nullcontext()


class RunsTwice(tf.distribute.OneDeviceStrategy):
    def __init__(self):
        super().__init__("/cpu:0")

    def run(self, fn, args=(), kwargs=None, options=None):
        super().run(fn, args, kwargs, options)
        return super().run(fn, args, kwargs, options)
