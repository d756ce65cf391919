import math

import pytest

from tfkit_serving.monitoring.metrics import LATENCY_BOUNDS, ServingMetrics
from tfkit_serving.monitoring.registry import OTHER, Metrics


def test_counters_and_gauges():
    metrics = Metrics()
    seen = metrics.counter("seen_total", "Things seen.", ("kind",))
    seen.add(("a",))
    seen.add(("a",), 2.5)
    seen.add(('q"\\\n',))
    level = metrics.gauge("level")
    level.set((), 4)
    level.add((), -1)
    assert metrics.render() == (
        "# HELP seen_total Things seen.\n# TYPE seen_total counter\n"
        'seen_total{kind="a"} 3.5\nseen_total{kind="q\\"\\\\\\n"} 1\n'
        "# TYPE level gauge\nlevel{} 3\n"
    )
    level.forget(())
    assert "level{}" not in metrics.render()


def test_histograms():
    metrics = Metrics()
    sizes = metrics.histogram("size", "", ("of",), bounds=(1, 10))
    for value in (0.5, 1, 3, 50):
        sizes.observe(("x",), value)
    assert metrics.render().splitlines() == [
        "# TYPE size histogram",
        'size_bucket{of="x",le="1"} 2',
        'size_bucket{of="x",le="10"} 3',
        'size_bucket{of="x",le="+Inf"} 4',
        'size_sum{of="x"} 54.5',
        'size_count{of="x"} 4',
    ]


def test_made_up_labels_do_not_fill_the_memory():
    metrics = Metrics()
    seen = metrics.counter("seen", "", ("name",), limit=3)
    took = metrics.histogram("took", "", ("name",), bounds=(1,), limit=3)
    for number in range(100):
        seen.add((f"name{number}",))
        took.observe((f"name{number}",), 0.5)
    assert len(seen.values) == len(took.values) == 4
    assert seen.get((OTHER,)) == 97
    assert f'took_count{{name="{OTHER}"}} 97' in metrics.render()


def test_one_name_is_one_metric():
    metrics = Metrics()
    first = metrics.counter("seen", "", ("a",))
    assert metrics.counter("seen", "", ("a",)) is first
    with pytest.raises(ValueError, match=r"metric seen already, a counter .* got a gauge"):
        metrics.gauge("seen", "", ("a",))
    with pytest.raises(ValueError, match=r"\('a',\)"):
        metrics.counter("seen", "", ("b",))


def test_collectors_run_before_a_scrape():
    metrics = Metrics()
    level = metrics.gauge("level")
    collect = lambda: level.add()  # noqa: E731
    metrics.collector(collect)
    assert metrics.render().endswith("level{} 1\n")
    assert metrics.render().endswith("level{} 2\n")
    metrics.remove_collector(collect)
    assert metrics.render().endswith("level{} 2\n")


def test_special_values():
    metrics = Metrics()
    level = metrics.gauge("level", "", ("of",))
    for name, value in (("nan", math.nan), ("inf", math.inf), ("less", -math.inf), ("big", 2**40), ("small", 1e-9)):
        level.set((name,), value)
    assert [line.split()[1] for line in metrics.render().splitlines()[1:]] == [
        "NaN", "+Inf", "-Inf", "1099511627776", "1e-09",
    ]  # fmt: skip


def test_the_metrics_of_tensorflow_serving():
    metrics = ServingMetrics()
    metrics.count_request("m", "OK")
    metrics.count_request("m", "INVALID_ARGUMENT")
    metrics.observe_latency("m", "predict", "REST", 20)
    metrics.observe_runtime("m", "Predict", "TF1", 10)
    metrics.observe_signature("m", 3, "serving_default", "OK", 0.001)
    metrics.observe_signature("m", 3, "serving_default", "INTERNAL", 0.001)
    lines = metrics.render().splitlines()
    assert ':tensorflow:serving:request_count{model_name="m",status="INVALID_ARGUMENT"} 1' in lines
    buckets = [line for line in lines if line.startswith(":tensorflow:serving:request_latency_bucket")]
    labels = 'model_name="m",API="predict",entrypoint="REST"'
    # The bounds as the real server prints them, with six digits.
    assert buckets[:3] == [
        f':tensorflow:serving:request_latency_bucket{{{labels},le="10"}} 0',
        f':tensorflow:serving:request_latency_bucket{{{labels},le="18"}} 0',
        f':tensorflow:serving:request_latency_bucket{{{labels},le="32.4"}} 1',
    ]
    assert 'le="188.957"' in buckets[5]
    assert 'le="+Inf"' in buckets[-1]
    assert len(buckets) == len(LATENCY_BOUNDS) + 1 == 34
    assert ':tensorflow:serving:runtime_latency_sum{model_name="m",API="Predict",runtime="TF1"} 10' in lines
    assert 'tfkit_serving_requests_total{model="m",version="3",signature="serving_default",code="INTERNAL"} 1' in lines
    assert 'tfkit_serving_request_seconds_count{model="m",version="3",signature="serving_default"} 1' in lines


def test_names_that_clients_make_up_do_not_fill_the_page():
    metrics = ServingMetrics()
    for number in range(5000):
        metrics.count_request(f"{number}" * 1000, "NOT_FOUND")
    assert len(metrics.render()) < 10_000
