import pytest

import tfkit
from tfkit.recipe import Recipe


def make(**parts):
    return Recipe("toy", **{"data": lambda: None, "model": lambda hp: None, **parts})


def test_sections_are_given_as_mappings_and_checked():
    recipe = make(train={"epochs": 3}, search={"trials": 2})
    assert (recipe.train.epochs, recipe.search.trials, recipe.search.searcher) == (3, 2, "bayesian")
    assert recipe.compress is None


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"data": None}, "recipe 'toy' has no data"),
        ({"model": "m"}, "recipe 'toy' has no model"),
        ({"train": None}, "has no train section"),
        ({"metrics": "accuracy"}, "a list of names"),
    ],
)
def test_a_missing_section_is_named(parts, words):
    with pytest.raises(tfkit.RecipeError, match=words):
        make(**parts)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"train": {"epoch": 3}}, "takes no parameter 'epoch'; did you mean 'epochs'"),
        ({"train": {"epochs": 0}}, "'epochs' of the section train of recipe 'toy' must be an int >= 1; got 0"),
        ({"compress": {"max_drop": -1}}, "'max_drop'"),
        ({"search": 3}, "must be a mapping"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_section(parts, words):
    with pytest.raises(tfkit.ParameterError, match=words):
        make(**parts)


def test_overrides_change_sections_and_the_seed():
    recipe = make().with_overrides({"train.epochs": 7, "search.trials": 4, "seed": 5})
    assert (recipe.train.epochs, recipe.search.trials, recipe.seed) == (7, 4, 5)


@pytest.mark.parametrize("key", ["epochs", "trian.epochs", "train", "train."])
def test_an_override_of_something_else_is_refused(key):
    with pytest.raises(tfkit.ParameterError, match="--set takes"):
        make().with_overrides({key: 1})


@pytest.mark.parametrize("name", ["", "a/b", "..", None])
def test_a_name_that_is_no_folder_is_refused(name):
    with pytest.raises(tfkit.RecipeError, match="becomes a folder"):
        Recipe(name, lambda: None, lambda hp: None)
