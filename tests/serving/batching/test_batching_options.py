"""Batching parameters as the real server's file has them."""

import pytest

from tfkit.pipeline.batching_parameters import chosen_batches
from tfkit_serving.batching import BatchingOptions
from tfkit_serving.configuration.flags import FlagError, Flags
from tfkit_serving.configuration.options import core_options


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "batching.config"
        path.write_text(text)
        return path

    return write


SIZES = "max_batch_size { value: 64 } allowed_batch_sizes: 32 allowed_batch_sizes: 64 "


def test_what_a_file_says(file, caplog):
    path = file(SIZES + "max_enqueued_batches { value: 7 } num_batch_threads { value: 4 }")
    assert BatchingOptions.from_file(path) == BatchingOptions(
        max_batch_size=64, max_enqueued_batches=7, allowed_batch_sizes=(32, 64), threads=4
    )
    assert caplog.messages == []


def test_what_has_no_use_here_is_told(file, caplog):
    path = file("batch_timeout_micros { value: 1000 } pad_variable_length_inputs: true thread_pool_name { value: 'x' }")
    assert BatchingOptions.from_file(path) == BatchingOptions()
    assert [each.split(": ")[1] for each in caplog.messages] == [
        "batch_timeout_micros changes nothing here",
        "pad_variable_length_inputs changes nothing here",
    ]
    caplog.clear()
    BatchingOptions.from_file(file("batch_timeout_micros { value: 0 } pad_variable_length_inputs: false"))
    assert caplog.messages == []


def test_without_a_largest_batch_the_last_allowed_one_is_the_real_servers():
    assert BatchingOptions(max_batch_size=1000, allowed_batch_sizes=(1, 1000)).padded(2) == 1000


def test_large_batches_that_are_split_are_bounded_by_what_is_run(file):
    text = SIZES.replace("64 }", "512 }") + (
        "enable_large_batch_splitting { value: true } max_execution_batch_size { value: 64 }"
    )
    assert BatchingOptions.from_file(file(text)).max_batch_size == 64


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_batch_size { value: 0 }", "max_batch_size of the batching parameters must be at least 1; got 0"),
        ("num_batch_threads { value: 0 }", "num_batch_threads of the batching parameters must be at least 1; got 0"),
        ("max_batch_size { value: 8 } allowed_batch_sizes: 4", "must be the largest batch there may be, 8; got 4"),
        ("allowed_batch_sizes: 4", "must be the largest batch there may be, 1000; got 4"),
        ("max_batch_size { value: 8 } allowed_batch_sizes: [4, 4, 8]", r"must ascend from 1 or more; got \(4, 4, 8\)"),
        ("max_batch_size { value: 8 } allowed_batch_sizes: [8, 4, 8]", "must ascend"),
        ("max_batch_size { value: 8 } allowed_batch_sizes: [0, 8]", "must ascend"),
        ("batch_size: 1", "batching.config"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_served(file, text, said):
    path = file(text)
    with pytest.raises(ValueError, match=said):
        BatchingOptions.from_file(path)
    with pytest.raises(FlagError, match=said):
        core_options(Flags.parse(["models", f"--batching_parameters_file={path}"]))


def test_batches_at_once_are_the_calls_of_a_version_at_once(file):
    path = file("num_batch_threads { value: 5 }")
    assert core_options(Flags.parse(["models", f"--batching_parameters_file={path}"])).process.threads == 5
    given = Flags.parse(["models", f"--batching_parameters_file={path}", "--model_threads=2"])
    assert core_options(given).process.threads == 2
    many = file("num_batch_threads { value: 1000 }")
    assert core_options(Flags.parse(["models", f"--batching_parameters_file={many}"])).process.threads == 64


def test_what_export_batching_writes_is_taken(file):
    written = chosen_batches({1: 0.1, 2: 0.1, 4: 0.1, 8: 0.2}, 10.0)
    read = BatchingOptions.from_file(file(written.as_text()))
    assert (read.allowed_batch_sizes, read.max_batch_size, read.threads) == ((1, 2, 4), 4, written.threads)
