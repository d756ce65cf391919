"""API keys: their file, their rates, and what they open."""

import hashlib

import pytest

from tfkit_serving.access import Gate, Key, KeyRing, Refused, read_keys
from tfkit_serving.access.rate import RateLimit

DIGEST = hashlib.sha256(b"s3cret").hexdigest()
BEARER = [(b"host", b"x"), (b"authorization", b"Bearer s3cret")]


def test_keys_are_read_hashed_and_found(tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"# ours\n\nweb {DIGEST.upper()} rate=2.5 models=digits,sentiment\n")
    ring = read_keys(path, "models")
    assert ring.find(b"s3cret") == Key("web", DIGEST, 2.5, frozenset({"digits", "sentiment"}))
    assert ring.find(b"s3cret ") is None
    assert ring.find(DIGEST.encode()) is None
    assert KeyRing([]).find(b"x") is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("web s3cret", "expected NAME SHA256"),
        ("web", "expected NAME SHA256"),
        ("web " + "0" * 64 + " rate=0", "rate= must be requests a second"),
        ("web " + "0" * 64 + " speed=1", "line 1: an unknown option; there are rate=N and models=A,B"),
        ("web " + "0" * 64 + " s3cret", "an unknown option"),
        ("web " + "0" * 64 + " tasks=digits", "tasks= is for `tfkit gateway`; here it is models=A,B"),
        ("web " + "0" * 64 + " models=", "models= names none; leave it out for all"),
        ("web " + "0" * 64 + " models=a models=b", "models= is there twice"),
        ("web " + "0" * 64 + "\nweb " + "1" * 64, "line 2: the name 'web' is there twice"),
        ("# none", "holds no key, so nobody could call"),
    ],
)
def test_a_wrong_keys_file_is_told_without_the_key(tmp_path, line, words):
    (tmp_path / "keys").write_text(line)
    with pytest.raises(ValueError, match=words) as error:
        read_keys(tmp_path / "keys", "models")
    assert "s3cret" not in str(error.value)


def test_each_program_says_whose_option_the_others_is(tmp_path):
    (tmp_path / "keys").write_text(f"web {DIGEST} models=digits")
    with pytest.raises(ValueError, match="models= is for `tfkit serve`; here it is tasks=A,B"):
        read_keys(tmp_path / "keys", "tasks")


def test_a_rate_holds_over_time():
    now = [0.0]
    limit = RateLimit(clock=lambda: now[0])
    passed = 0
    for step in range(1000):
        now[0] = step / 100
        passed += limit.wait("web", 5.0) == 0.0
    # 5 at once, and 5 a second for the 9.99 seconds.
    assert passed in (54, 55)
    assert limit.wait("other", 5.0) == 0.0


def refusal(work, *arguments):
    with pytest.raises(Refused) as caught:
        work(*arguments)
    return caught.value


def test_a_gate_says_why_and_counts_it():
    reasons = []
    gate = Gate(KeyRing([Key("web", DIGEST, 1.0, frozenset({"digits"}))]), reasons.append, clock=lambda: 0.0)
    key = gate.admit(BEARER)
    assert refusal(gate.admit, []).http_status == 401
    assert refusal(gate.admit, [(b"x-api-key", b"guess")]).http_status == 401
    assert refusal(gate.check, key, "price").http_status == 403
    assert "is bound to digits" in refusal(gate.check_all, key).message
    gate.pace(key)
    over = refusal(gate.pace, key)
    assert (over.http_status, over.retry_after) == (429, 1.0)
    assert reasons == ["no key", "unknown key", "forbidden", "forbidden", "rate"]


def test_who_is_not_let_in_takes_none_of_the_rate_and_is_not_counted():
    reasons = []
    gate = Gate(KeyRing([Key("web", DIGEST, 1.0, frozenset({"digits"}))]), reasons.append, clock=lambda: 0.0)
    assert not gate.lets_in(BEARER, "price")
    assert not gate.lets_in([], "digits")
    assert [gate.lets_in(BEARER, "digits") for _ in range(2)] == [True, False]
    assert reasons == []


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ([(b"authorization", b"bearer  s3cret ")], "web"),
        ([(b"authorization", b"Basic dTpw"), (b"x-api-key", b"s3cret")], "web"),
        ([(b"x-api-key", b"guess"), *BEARER], "web"),
        ([(b"x-api-key", "ünïcode".encode())], "odd"),
    ],
)
def test_where_a_key_is_looked_for(headers, name):
    odd = hashlib.sha256("ünïcode".encode()).hexdigest()
    gate = Gate(KeyRing([Key("web", DIGEST), Key("odd", odd)]), count=pytest.fail)
    assert gate.admit(headers).name == name
