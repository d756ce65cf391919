from pathlib import Path

import pytest
from google.protobuf import text_format

from tfkit_serving.configuration.model_config import model_configs, read_model_config
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.protocol.messages import ModelServerConfig

RECORDED = Path(__file__).parents[1] / "recorded" / "models.config"


def parsed(text):
    return model_configs(text_format.Parse(f"model_config_list {{ {text} }}", ModelServerConfig()))


def config(rest="", platform='model_platform: "tensorflow"'):
    return f'config {{ name: "m" base_path: "/m" {platform} {rest} }}'


def test_the_recorded_servers_configuration():
    models = {each.name: each for each in model_configs(read_model_config(RECORDED))}
    assert len(models) == 11
    assert models["hp2"].labels == {"stable": 123, "canary": 124}
    assert models["hp2"].aspired([122, 123, 124, 125]) == [123, 124]
    assert models["mlp"].aspired([3, 1, 2]) == [3]
    assert models["mlp"].base_path == Path("BASE/mlp")


@pytest.mark.parametrize(
    ("policy", "aspired"),
    [
        ("", [9]),
        ("model_version_policy { latest {} }", [9]),
        ("model_version_policy { latest { num_versions: 2 } }", [7, 9]),
        ("model_version_policy { all {} }", [5, 7, 9]),
        ("model_version_policy { specific { versions: 5 versions: 8 } }", [5]),
    ],
)
def test_policies(policy, aspired):
    [model] = parsed(config(policy))
    assert model.aspired([9, 5, 7]) == aspired


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (config(platform=""), "Write model_platform: \"tensorflow\" for 'm'"),
        (config(platform='model_platform: "onnx"'), "Model m requests unsupported platform onnx"),
        (
            config(platform='model_platform: "tensorflow" model_type: TENSORFLOW'),
            "Leave out the model_type of 'm'",
        ),
        (config("model_version_policy { specific {} }"), "lists no versions"),
        (config() + config(), "Illegal to list model m multiple times in config list"),
        ('config { name: "m" model_platform: "tensorflow" }', "the model 'm' has no base_path"),
    ],
)
def test_what_cannot_be_served_is_named(text, words):
    with pytest.raises(ServingError) as caught:
        parsed(text)
    assert caught.value.code == "INVALID_ARGUMENT"
    assert words in caught.value.message


def test_the_deprecated_type_names_the_platform_too():
    [model] = parsed(config(platform="model_type: TENSORFLOW"))
    assert model.name == "m"


def test_a_file_that_is_no_text_proto_says_where(tmp_path):
    path = tmp_path / "models.config"
    path.write_text("model_config_list {\n  confg {}\n}")
    with pytest.raises(
        ValueError, match=r"models\.config: Error parsing text-format tensorflow\.serving\.ModelServerConfig: 2:"
    ):
        read_model_config(path)
