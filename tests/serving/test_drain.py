"""A server that is told to stop loses no request of clients that keep their connections."""

import http.client
import signal
import threading
import time

import pytest

pytestmark = pytest.mark.serving


def test_clients_that_keep_connections_are_told_before_they_are_closed(serve, place):
    place("hp2/00000123", "m", 1)
    server = serve("--model_name=m", f"--model_base_path={place.base / 'm'}")
    lost, answered = [], [0] * 6

    def ask(number):
        client = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=20)
        client.connect()
        while True:
            try:
                client.request("POST", "/v1/models/m:predict", b'{"instances": [1.0]}')
                reply = client.getresponse()
                assert reply.read() == b'{\n    "predictions": [2.5\n    ]\n}'
                answered[number] += 1
            except OSError as error:
                lost.append(error)
                return
            if reply.getheader("connection") == "close":
                return

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    server.process.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join(30)
    assert not lost
    assert min(answered) > 10
    assert server.process.wait(60) == 0
