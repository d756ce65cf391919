"""Every plugin of this distribution keeps to what its kind promises."""

import pytest

import tfkit.testing

# What an extra of its own brings: checked where that is installed.
PACKAGES = {
    ("searcher", "optuna"): "optuna",
    ("callback", "wandb"): "wandb",
    ("exporter", "onnx"): "tf2onnx",
    ("exporter", "openvino"): "openvino",
}


@tfkit.testing.parametrize("tfkit-keras")
def test_conformance(plugin, check):
    if (plugin.kind, plugin.name) in PACKAGES:
        pytest.importorskip(PACKAGES[plugin.kind, plugin.name])
    check(plugin)
