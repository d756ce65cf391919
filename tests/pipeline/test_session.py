import keras

from tfkit.pipeline.session import clear_session


def test_the_dtype_policy_outlives_the_session():
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        clear_session()
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        keras.backend.clear_session()
        forgets = keras.config.dtype_policy().name != "mixed_bfloat16"
        assert forgets, "Keras keeps the policy now: tfkit.pipeline.session.clear_session can go"
    finally:
        keras.config.set_dtype_policy(before)
