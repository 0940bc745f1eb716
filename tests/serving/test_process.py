"""A real server process: an end without loss, networks that outlive a kill."""

import os
import signal
import threading
import time

import httpx
import numpy as np
from servers import server_process

from netwright.client import Client

X = np.linspace(-1, 1, 8).reshape(2, 4)


def test_nothing_that_was_acknowledged_is_lost_by_an_end_or_a_kill(tmp_path):
    made, said = [], []

    def create(url: str) -> None:
        with Client(url, tries=1) as client:
            made.append(client.create("letters", examples=(np.eye(4), [0, 1, 0, 1])))

    with server_process(tmp_path, max_delay_s=1.5, max_batch=1000) as (process, port):
        thread = threading.Thread(target=create, args=[f"http://127.0.0.1:{port}"])
        thread.start()
        while "netwright_queue_write 1.0" not in httpx.get(f"http://127.0.0.1:{port}/metrics").text:
            time.sleep(0.02)
        # The request waits for others to come: it is finished before the end, which is no failure.
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        thread.join(20)
        assert len(made) == 1
    with server_process(tmp_path) as (process, port):
        create(f"http://127.0.0.1:{port}")
        with Client(f"http://127.0.0.1:{port}") as client:
            said += [client.predict(network, X) for network in made]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with server_process(tmp_path) as (process, port), Client(f"http://127.0.0.1:{port}") as client:
        assert list(client.list()) == made
        for network, before in zip(made, said, strict=True):
            np.testing.assert_allclose(
                client.predict(network, X).outputs, before.outputs, atol=1e-5
            )
