"""Requests that share calls get what they would have got alone."""

import asyncio
import random

import numpy as np
import pytest

from tfkit_serving.batching import Batcher, BatchingOptions
from tfkit_serving.protocol.errors import ServingError


class Doubler:
    """A model of y = 2x that fails for NaN, takes a moment, and remembers its calls."""

    def __init__(self, seconds=0.002):
        self.seconds, self.calls, self.running = seconds, [], 0

    async def __call__(self, signature, inputs, outputs):
        self.calls.append((signature, {name: each.shape for name, each in inputs.items()}))
        await asyncio.sleep(self.seconds)
        x = inputs["x"]
        if np.isnan(x).any():
            raise ServingError("INVALID_ARGUMENT", f"{int(np.isnan(x).any(axis=-1).sum())} rows are no numbers")
        return {"y": x * 2, "z": x.sum(axis=-1)}

    @property
    def rows(self):
        return [shapes["x"][0] for _, shapes in self.calls]


def ask(batcher, rows, width=2, signature="s", value=1.0):
    x = np.full((rows, width), value, np.float64)
    return batcher.run(signature, {"x": x})


async def outcomes(*requests):
    return await asyncio.gather(*requests, return_exceptions=True)


def test_what_comes_while_a_call_runs_shares_the_next():
    model = Doubler()

    async def body():
        batcher = Batcher(model)
        first = asyncio.create_task(ask(batcher, 1))
        await asyncio.sleep(0.001)
        await asyncio.gather(first, *(ask(batcher, 1) for _ in range(20)))
        assert batcher.idle

    asyncio.run(body())
    assert model.rows == [1, 20]


def test_a_batch_is_bounded_in_rows_and_bytes():
    async def rows(options):
        model = Doubler()
        batcher = Batcher(model, options)
        await asyncio.gather(*(ask(batcher, 3) for _ in range(6)))
        return model.rows

    assert asyncio.run(rows(BatchingOptions(max_batch_size=8))) == [6, 6, 6]
    assert asyncio.run(rows(BatchingOptions(max_batch_bytes=3 * 2 * 8 * 4))) == [12, 6]
    assert asyncio.run(rows(BatchingOptions(max_batch_size=2))) == [3] * 6  # larger ones run alone


def test_one_bad_row_fails_alone():
    model = Doubler()

    async def body():
        batcher = Batcher(model)
        return await outcomes(*(ask(batcher, 1, value=float("nan") if each == 11 else each) for each in range(32)))

    results = asyncio.run(body())
    assert [index for index, each in enumerate(results) if isinstance(each, ServingError)] == [11]
    assert results[11].message == "1 rows are no numbers"
    assert all(each["y"].tolist() == [[2 * i, 2 * i]] for i, each in enumerate(results) if i != 11)
    assert len(model.calls) <= 1 + 2 * 5  # halved, not each alone


def test_a_cancelled_request_breaks_no_other():
    async def body():
        batcher = Batcher(Doubler(0.01))
        tasks = [asyncio.create_task(ask(batcher, 1, value=each)) for each in range(10)]
        await asyncio.sleep(0.001)
        running = tasks[0]
        late = asyncio.create_task(ask(batcher, 1, value=77))
        await asyncio.sleep(0)
        running.cancel()
        late.cancel()
        return await outcomes(*tasks)

    results = asyncio.run(body())
    assert isinstance(results[0], asyncio.CancelledError)
    assert [each["y"][0, 0] for each in results[1:]] == [2.0 * each for each in range(1, 10)]


def test_a_full_queue_refuses_in_the_real_servers_words():
    async def body():
        batcher = Batcher(Doubler(), BatchingOptions(max_batch_size=2, max_enqueued_batches=2))
        return await outcomes(*(ask(batcher, 1) for _ in range(6)))

    refused = [each for each in asyncio.run(body()) if isinstance(each, ServingError)]
    assert [each.code for each in refused] == ["UNAVAILABLE"] * 2
    assert refused[0].message.startswith("The batch scheduling queue to which this task was submitted is full")


def test_a_request_larger_than_a_batch_waits_in_no_queue():
    async def body():
        batcher = Batcher(Doubler(), BatchingOptions(max_batch_size=2, max_enqueued_batches=2))
        return await outcomes(*(ask(batcher, 1000) for _ in range(3)), *(ask(batcher, 1) for _ in range(4)))

    assert [len(each["y"]) for each in asyncio.run(body())] == [1000] * 3 + [1] * 4


ALLOWED = BatchingOptions(max_batch_size=8, allowed_batch_sizes=(2, 8))


def test_a_batch_is_padded_to_the_next_size_that_is_allowed():
    model = Doubler()

    async def body():
        batcher = Batcher(model, ALLOWED)
        alone = await ask(batcher, 1, value=5)
        together = await asyncio.gather(*(ask(batcher, 1, value=each) for each in range(3)))
        others = [await ask(batcher, rows) for rows in (0, 2, 8, 9)]
        return alone, together, others

    alone, together, others = asyncio.run(body())
    assert model.rows == [2, 8, 0, 2, 8, 9]  # what has no rows, or more than are allowed, goes as it is
    assert alone["y"].tolist() == [[10, 10]]
    assert [each["z"].tolist() for each in together] == [[0], [2], [4]]
    assert [len(each["y"]) for each in others] == [0, 2, 8, 9]


def test_padding_is_a_row_of_the_batch():
    seen = []

    async def call(signature, inputs, outputs):
        seen.append({name: each.tolist() for name, each in inputs.items()})
        return dict(inputs)

    async def body():
        words = np.array([b"a", b"b", b"c"], object)
        return await Batcher(call, ALLOWED).run("s", {"x": np.array([7.0, 8.0, 9.0]), "words": words})

    answer = asyncio.run(body())
    assert seen == [{"x": [7, 8, 9, *[7] * 5], "words": [b"a", b"b", b"c", *[b"a"] * 5]}]
    assert answer["words"].tolist() == [b"a", b"b", b"c"]


def test_outputs_without_the_batchs_rows_are_those_of_the_request_without_padding():
    async def total(signature, inputs, outputs):
        return {"total": inputs["x"].sum(axis=0)}

    async def body():
        batcher = Batcher(total, ALLOWED)
        return [await ask(batcher, 3, value=2.0) for _ in range(2)]

    assert [each["total"].tolist() for each in asyncio.run(body())] == [[6.0, 6.0]] * 2


def test_outputs_without_the_batchs_rows_are_never_shared():
    calls = []

    async def total(signature, inputs, outputs):
        calls.append(len(inputs["x"]))
        return {"total": inputs["x"].sum(axis=0)}

    async def body():
        batcher = Batcher(total)
        first = await asyncio.gather(*(ask(batcher, 3, value=each) for each in range(4)))
        second = await asyncio.gather(*(ask(batcher, 3, value=each) for each in range(4)))
        return first, second

    for results in asyncio.run(body()):
        assert [each["total"].tolist() for each in results] == [[3.0 * i] * 2 for i in range(4)]
    assert calls == [12] + [3] * 8  # tried once


def test_inputs_that_disagree_in_their_rows_run_alone():
    shapes = []

    async def call(signature, inputs, outputs):
        shapes.append([each.shape for each in inputs.values()])
        return {"y": np.zeros(1)}

    async def body():
        batcher = Batcher(call)
        odd = {"a": np.zeros((2, 1)), "b": np.zeros((3, 1))}
        await asyncio.gather(*(batcher.run("s", odd) for _ in range(3)), batcher.run("s", {"a": np.array(1.0)}))

    asyncio.run(body())
    assert sorted(shapes) == sorted([[(2, 1), (3, 1)]] * 3 + [[()]])


def test_a_dead_process_is_not_asked_again_for_its_batch():
    calls = []

    async def die(signature, inputs, outputs):
        calls.append(len(inputs["x"]))
        raise ServingError("UNAVAILABLE", "its process was killed")

    async def body():
        batcher = Batcher(die)
        return await outcomes(*(ask(batcher, 1) for _ in range(5)))

    assert {each.code for each in asyncio.run(body())} == {"UNAVAILABLE"}
    assert calls == [5]


def test_a_fault_of_ones_own_answers_everybody():
    async def broken(signature, inputs, outputs):
        raise RuntimeError("no reason")

    async def body():
        batcher = Batcher(broken)
        return await outcomes(*(ask(batcher, 1) for _ in range(3)))

    assert [each.message for each in asyncio.run(body())] == ["RuntimeError: no reason"] * 3


@pytest.mark.parametrize(("seed", "allowed"), [*((seed, ()) for seed in range(4)), (4, (4, 16)), (5, (1, 2, 16))])
def test_random_mixes_get_what_they_would_alone(seed, allowed):
    """Signatures, widths, dtypes, strings, bad rows and clients that go away, all at once."""
    generator = random.Random(seed)

    async def plain(signature, inputs, outputs):
        await asyncio.sleep(generator.random() * 0.001)
        x = inputs["x"]
        if x.dtype == object:
            return {"y": np.array([signature.encode() + each for each in x.ravel()], object).reshape(x.shape)}
        if (x < 0).any():
            raise ServingError("INVALID_ARGUMENT", "below 0")
        found = {"y": x + len(signature), "z": x.sum(axis=1)}
        return found if outputs is None else {name: found[name] for name in outputs}

    def request():
        shape = (generator.choice([0, 1, 1, 1, 2, 9]), generator.choice([1, 3]))
        kind = generator.choice(["f4", "i8", object])
        values = [[generator.randint(-1 if generator.random() < 0.1 else 0, 9) for _ in range(shape[1])]
                  for _ in range(shape[0])]  # fmt: skip
        x = np.array(values, kind).reshape(shape) if kind is not object else np.empty(shape, object)
        if kind is object:
            x[...] = [[b"%d" % value for value in row] for row in values] if shape[0] else x
        outputs = None if kind is object else generator.choice([None, ["y"], ["z"]])
        return generator.choice(["s", "second"]), {"x": x}, outputs

    async def body():
        batcher = Batcher(plain, BatchingOptions(max_batch_size=16, allowed_batch_sizes=allowed))
        requests, tasks = [request() for _ in range(300)], []
        for each in requests:
            tasks.append(asyncio.create_task(batcher.run(*each)))
            if generator.random() < 0.2:
                await asyncio.sleep(0)
            if generator.random() < 0.05:
                tasks[-1].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for each, got in zip(requests, results):
            if isinstance(got, asyncio.CancelledError):
                continue
            [expected] = await outcomes(plain(*each))
            if isinstance(expected, ServingError):
                assert (got.code, got.message) == (expected.code, expected.message)
                continue
            assert got.keys() == expected.keys()
            for name in got:
                assert got[name].dtype == expected[name].dtype
                np.testing.assert_array_equal(got[name], expected[name])

    asyncio.run(body())
