"""Functions around a method of one object, and in its place: each goes by itself, in any order."""

import inspect
import itertools

import pytest

from tfkit.attach.methods import functions_of, nothing_replaced, remove_from_method, replace_method, wrap_method


class Adder:
    def add(self, x, y=1):
        return f"{x}+{y}"


def outer(method, *args, **kwargs):
    return f"outer({method(*args, **kwargs)})"


def inner(method, *args, **kwargs):
    return f"inner({method(*args, **kwargs)})"


@pytest.mark.parametrize("on", list(itertools.permutations([(wrap_method, outer), (replace_method, inner)])))
@pytest.mark.parametrize("off", list(itertools.permutations([outer, inner])))
def test_what_replaces_is_inside_and_each_goes_by_itself(on, off):
    adder = Adder()
    for put, function in on:
        put(adder, "add", function)
    assert adder.add(2, y=3) == "outer(inner(2+3))"
    assert functions_of(adder, "add") == [inner, outer]
    remove_from_method(adder, "add", off[0])
    assert adder.add(2) == ("inner(2+1)" if off[0] is outer else "outer(2+1)")
    remove_from_method(adder, "add", off[1])
    assert vars(adder) == {}
    assert adder.add(2) == "2+1"


def test_a_method_of_the_objects_own_comes_back():
    adder = Adder()
    own = adder.add = lambda x, y=1: "own"
    wrap_method(adder, "add", outer)
    assert adder.add(2) == "outer(own)"
    remove_from_method(adder, "add", outer)
    assert adder.add is own
    remove_from_method(adder, "add", outer)
    assert adder.add is own


def test_the_signature_stays():
    adder = Adder()
    before = inspect.signature(adder.add)
    wrap_method(adder, "add", outer)
    assert inspect.signature(adder.add) == before
    assert functions_of(Adder(), "add") == []


def test_past_what_replaces_a_method_what_is_around_it_stays():
    adder = Adder()
    wrap_method(adder, "add", outer)
    replace_method(adder, "add", inner)
    with nothing_replaced():
        assert adder.add(2) == "outer(2+1)"
        with nothing_replaced():
            pass
        assert adder.add(2) == "outer(2+1)"
    assert adder.add(2) == "outer(inner(2+1))"


def test_what_replaces_later_is_outside_of_what_replaced_before():
    adder = Adder()
    replace_method(adder, "add", inner)
    replace_method(adder, "add", outer)
    assert adder.add(2) == "outer(inner(2+1))"
