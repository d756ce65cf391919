"""What there is of memory, by what the system itself says."""

import os

import numpy as np

from tfkit import memory


def test_what_is_held_left_and_there_at_all():
    held, left = memory.held(os.getpid()), memory.left()
    assert 0 < held < memory.total()
    assert 0 < left < memory.total()
    assert held <= memory.peak()


def test_what_is_taken_is_held_and_no_longer_left():
    held, left = memory.held(os.getpid()), memory.left()
    taken = np.ones(40_000_000)  # 320 MB
    assert memory.held(os.getpid()) - held > 250_000_000
    assert memory.left() < left
    assert taken.sum() == 40_000_000


def test_of_a_process_that_is_gone_nothing_is_known():
    assert memory.held(2**22 + 1) is None
