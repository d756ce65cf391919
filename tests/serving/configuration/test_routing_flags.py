"""--version_split and --version_shadow."""

import pytest

from tfkit_serving.configuration.flags import FlagError, Flags
from tfkit_serving.configuration.options import routing_options
from tfkit_serving.routing.options import ShadowShare


def options(*arguments):
    return routing_options(Flags.parse(["models", *arguments]))


def test_there_is_no_routing_unless_it_is_asked_for():
    assert options() is None


def test_models_are_parted_by_semicolons():
    found = options("--version_split=m:stable=90,canary=10; n:1=1,2=1;", "--version_shadow", "m:canary=5;next")
    assert found.split("m").weights == (90.0, 10.0)
    assert found.split("n").labels == ("1", "2")
    assert found.split("other") is None
    assert (found.shadow("m"), found.shadow("n")) == (ShadowShare("canary", 5.0), ShadowShare("next"))


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--version_split=m:stable", "--version_split 'stable': a weight must be a number ≥ 0"),
        ("--version_split=m:a=1,a=2", "--version_split 'a=1,a=2': each label takes a name of its own"),
        ("--version_split=m:a=0", "--version_split 'a=0': at least one weight must be above 0"),
        ("--version_split=m:a=1;m:b=1", "--version_split 'm:b=1': m is there twice"),
        ("--version_shadow=m:a=101", "--version_shadow 'a=101': expected a label"),
        ("--version_shadow=m:", "--version_shadow '': expected a label"),
    ],
)
def test_mistakes_are_told_in_a_line(argument, words):
    with pytest.raises(FlagError) as error:
        options(argument)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
