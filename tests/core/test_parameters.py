import math
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Optional

import numpy as np
import pytest
from annotated_types import Interval, Len
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tfkit
from tfkit.parameters import Ge, Gt, Le, Lt, MaxLen, MinLen, Parameter, check, parameters

quick = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True, kw_only=True)
class Schema:
    rate: Annotated[float, Gt(0), "The rate."]
    share: Annotated[float, Ge(0), Lt(1), "A share."] = 0.5
    steps: Annotated[int, Ge(1), "Steps."] = 1
    level: Annotated[int, Interval(ge=0, le=9), "A level."] = 3
    limit: Annotated[int | None, Gt(0), "A limit."] = None
    final: Annotated[Optional[float], Le(2), "The end."] = None  # noqa: UP045
    mode: Annotated[Literal["min", "max", 8], "A mode."] = "min"
    names: Annotated[tuple[str, ...], MinLen(1), MaxLen(3), "Names."] = ("a",)
    block: Annotated[tuple[int, int], "A block."] = (1, 1)
    rates: Annotated[tuple[Annotated[float, Gt(0)], ...], Len(2), "Rates."] = (1.0, 2.0)
    flag: Annotated[bool, "A flag."] = False
    layers: Annotated[list[int], "Layers."] = field(default_factory=list)


def checked(**values):
    return check(Schema, {"rate": 1.0, **values}, owner="schedule 'x'")


def refused(**values):
    with pytest.raises(tfkit.ParameterError) as caught:
        checked(**values)
    return str(caught.value)


def values_of(parameter):
    """What hypothesis draws from the parameter's type and bounds, NaN left out."""
    annotation, *others = typing.get_args(parameter.annotation) or (parameter.annotation,)
    if others != [type(None)]:
        annotation, others = parameter.annotation, []
    drawn = st.from_type(Annotated[(annotation, *parameter.bounds)] if parameter.bounds else annotation)
    return st.one_of(drawn.filter(lambda value: value == value), *map(st.from_type, others))


@pytest.mark.parametrize("parameter", parameters(Schema), ids=lambda parameter: parameter.name)
@quick
@given(data=st.data())
def test_values_drawn_from_the_bounds_pass(parameter, data):
    value = data.draw(values_of(parameter))
    assert checked(**{parameter.name: value})[parameter.name] == value


def registered_parameters():
    """One of each type and bounds: all else of a parameter has no part in what it takes."""
    found = {}
    for row in tfkit.plugins():
        for parameter in parameters(row.spec.params) if row.spec else ():
            if parameter.bounds and parameter.annotation is not Any:
                key = f"{parameter.annotation} {parameter.bounds}"
                found.setdefault(key, pytest.param(parameter, id=f"{row.kind}/{row.name}/{parameter.name}"))
    return list(found.values())


@pytest.mark.parametrize("parameter", registered_parameters())
@quick
@given(data=st.data())
def test_the_plugins_own_bounds_are_the_ones_that_hypothesis_reads(parameter, data):
    value = data.draw(values_of(parameter))
    assert parameter.checked(value, owner="x") == value


@quick
@given(st.floats(max_value=0) | st.just(math.nan))
def test_values_outside_gt_are_refused(value):
    assert refused(rate=value) == f"the parameter 'rate' of schedule 'x' must be a float > 0; got {value!r}"


@quick
@given(st.floats(max_value=0, exclude_max=True) | st.floats(min_value=1))
def test_values_outside_two_bounds_are_refused(value):
    assert refused(share=value) == f"the parameter 'share' of schedule 'x' must be a float >= 0 and < 1; got {value!r}"


@quick
@given(st.integers(max_value=-1) | st.integers(min_value=10))
def test_values_outside_an_interval_are_refused(value):
    assert refused(level=value) == f"the parameter 'level' of schedule 'x' must be an int >= 0 and <= 9; got {value!r}"


@quick
@given(st.one_of(st.text(), st.booleans(), st.none(), st.binary(), st.complex_numbers()))
def test_what_is_no_number_is_no_float(value):
    refused(rate=value)


@quick
@given(st.one_of(st.text(), st.booleans(), st.none(), st.floats()))
def test_what_is_no_whole_number_is_no_int(value):
    refused(steps=value)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"steps": 0}, "the parameter 'steps' of schedule 'x' must be an int >= 1; got 0"),
        ({"limit": 0}, "the parameter 'limit' of schedule 'x' must be an int > 0 or None; got 0"),
        ({"final": 3}, "the parameter 'final' of schedule 'x' must be a float <= 2 or None; got 3"),
        ({"mode": "mean"}, "the parameter 'mode' of schedule 'x' must be 'min' or 'max' or 8; got 'mean'"),
        ({"flag": 1}, "the parameter 'flag' of schedule 'x' must be True or False; got 1"),
        ({"block": (1,)}, "the parameter 'block' of schedule 'x' must be a tuple of 2 ints; got (1,)"),
        ({"layers": [1, "2"]}, "the parameter 'layers' of schedule 'x' must be a sequence of ints; got [1, '2']"),
        (
            {"names": ()},
            "the parameter 'names' of schedule 'x' must be a sequence of strings of at least 1 items "
            "and of at most 3 items; got ()",
        ),
        (
            {"names": "abc"},
            "the parameter 'names' of schedule 'x' must be a sequence of strings of at least 1 items "
            "and of at most 3 items; got 'abc'",
        ),
        (
            {"rates": (1, 0)},
            "the parameter 'rates' of schedule 'x' must be a sequence of floats > 0 of at least 2 items; got (1, 0)",
        ),
        ({"setps": 3}, "schedule 'x' takes no parameter 'setps'; did you mean 'steps'?"),
    ],
)
def test_the_error_names_parameter_bound_value_and_way_out(values, text):
    assert refused(**values) == text


def test_an_unknown_parameter_without_a_near_one_gets_the_list():
    assert refused(zzz=1).startswith("schedule 'x' takes no parameter 'zzz'; there are: block, final, flag, layers")


def test_what_is_missing_is_named_with_its_bounds():
    with pytest.raises(tfkit.ParameterError, match=r"^schedule 'x' needs 'rate' \(a float > 0\): pass rate=…$"):
        check(Schema, {}, owner="schedule 'x'")


def test_a_plugin_without_parameters_says_so():
    with pytest.raises(tfkit.ParameterError, match=r"^metric 'x' takes no parameters; got 'a'$"):
        check(dataclass(frozen=True)(type("Empty", (), {})), {"a": 1}, owner="metric 'x'")


def test_numpys_numbers_become_pythons():
    got = checked(rate=np.float32(0.5), steps=np.int64(3), flag=np.bool_(True), block=[np.int8(1), 2])
    assert got == {"rate": 0.5, "steps": 3, "flag": True, "block": (1, 2)}
    assert [type(value) for value in got.values()] == [float, int, bool, tuple]


def test_whole_numbers_become_floats_and_lists_become_what_was_declared():
    got = checked(rate=2, names=["a"], layers=(1, 2))
    assert got == {"rate": 2.0, "names": ("a",), "layers": [1, 2]}
    assert type(got["rate"]) is float


def test_defaults_are_left_to_the_target():
    assert checked() == {"rate": 1.0}


def test_parameters_in_the_order_they_were_written():
    listed = parameters(Schema)
    assert [each.name for each in listed][:3] == ["rate", "share", "steps"]
    assert listed[0] == Parameter("rate", float, (Gt(0),), ..., "The rate.")
    assert listed[0].as_dict() == {
        "name": "rate",
        "constraint": "a float > 0",
        "required": True,
        "doc": "The rate.",
    }
    assert listed[-1].default == []
    assert listed[3].bounds == (Ge(0), Le(9))


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Any, "any value"),
        (float | int | None, "a float or an int or None"),
        (Sequence[str], "a sequence of strings"),
        (tuple[int, ...] | str, "a sequence of ints or a string"),
        (Callable[[int], int], "a Callable"),
        (dict[str, Any], "a dict"),
        (Annotated[float, Ge(0)] | None, "a float >= 0 or None"),
        (tuple[tuple[int, int], ...], "a sequence of tuples of 2 ints"),
    ],
)
def test_types_in_words(annotation, words):
    assert Parameter("p", annotation).constraint == words


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        (dict[str, Any], {"a": 1}, [1]),
        (Callable[[int], int], len, 3),
        (Annotated[float, Ge(0)] | None, None, -1),
        (tuple[Annotated[int, Lt(3)], ...], (1, 2), (1, 3)),
        (Literal[1, "a"], 1, True),
        (str | tuple[str, ...], "ab", ("a", 1)),
    ],
)
def test_other_types(annotation, good, bad):
    parameter = Parameter("p", annotation)
    assert parameter.checked(good, owner="x") == good
    with pytest.raises(tfkit.ParameterError):
        parameter.checked(bad, owner="x")
