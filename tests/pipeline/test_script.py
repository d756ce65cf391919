import pytest

import tfkit
from tfkit.pipeline.script import load_recipe

GOOD = "import tfkit\nrecipe = tfkit.Recipe('toy', data=lambda: None, model=lambda hp: None)\n"


def test_a_recipe_is_loaded_without_running_its_main_program(tmp_path):
    script = tmp_path / "toy.py"
    script.write_text(GOOD + "if __name__ == '__main__':\n    raise SystemExit\n")
    assert load_recipe(script).name == "toy"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import tfkit\nrecipe = (\n", "line 2: "),
        ("a = 1\n", "must define recipe = tfkit.Recipe"),
        ("recipe = 3\n", "it is int"),
        ("import tfkit\n\n1 / 0\n", "line 3: ZeroDivisionError"),
        (GOOD.replace("data=lambda: None", "data=None"), "has no data"),
        ("import nothing_of_this_name\n", "line 1: ModuleNotFoundError"),
    ],
)
def test_a_script_that_is_no_recipe_is_refused_with_its_line(tmp_path, text, words):
    script = tmp_path / "bad.py"
    script.write_text(text)
    with pytest.raises(tfkit.RecipeError, match=words):
        load_recipe(script)


def test_a_missing_script_is_named(tmp_path):
    with pytest.raises(tfkit.RecipeError, match="there is no recipe script"):
        load_recipe(tmp_path / "none.py")
