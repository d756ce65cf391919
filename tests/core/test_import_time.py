import subprocess
import sys

import pytest

FRAMEWORKS = ("numpy", "scipy", "sklearn", "keras", "tensorflow", "keras_tuner", "tensorflow_model_optimization")


@pytest.mark.parametrize(
    "code",
    [
        "import tfkit; assert tfkit.plugins()",
        "import tfkit; assert all(row.parameters is not None for row in tfkit.plugins())",
        "import tfkit, json; json.dumps([row.as_dict() for row in tfkit.plugins()])",
        "import tfkit.testing; tfkit.testing.checks('metric')",
        "import tfkit\ntry: tfkit.create('schedule', 'no-such')\nexcept tfkit.PluginNotFound: pass",
        "import tfkit\ntry: tfkit.create('schedule', 'cosine', initial=-1, steps=1)\nexcept tfkit.ParameterError: pass",
    ],
)
def test_listing_and_refusing_import_no_framework(code):
    code += f"\nimport sys; print([name for name in {FRAMEWORKS} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
