import http.client
import os
from pathlib import Path

import pytest
from storm import storm

pytestmark = pytest.mark.serving


def resident(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def assert_answers(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", "/v1/models/hp2:predict", body=b'{"instances": [1.0]}')
    assert connection.getresponse().read() == b'{\n    "predictions": [2.5\n    ]\n}'
    connection.close()


def test_two_thousand_mutated_requests(recorded_server):
    outcome = storm(recorded_server.rest_port, seed=1, count=2000)
    assert outcome.faults == []
    assert outcome.slowest < 1.0
    assert outcome.statuses[200] > 100
    assert outcome.statuses[400] > 500
    assert_answers(recorded_server.rest_port)


@pytest.mark.nightly
def test_twenty_thousand_mutated_requests(recorded_server):
    warm = storm(recorded_server.rest_port, seed=2, count=1000)
    before = resident(recorded_server.pid)
    outcome = storm(recorded_server.rest_port, seed=3, count=19_000)
    assert warm.faults + outcome.faults == []
    assert max(warm.slowest, outcome.slowest) < 1.0
    assert resident(recorded_server.pid) < before * 1.1
    assert_answers(recorded_server.rest_port)
