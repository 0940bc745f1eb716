"""Clients that are slow, rude or gone, over real sockets."""

import contextlib
import json
import socket
import sys
import time

import numpy as np
import pytest
from servers import asks, threaded_server

from netwright.client import Client
from netwright.serving import ServerLimits
from netwright.serving.protocol import protocol_with


@pytest.fixture(scope="module", params=["httptools", "h11"])
def server(tmp_path_factory, request):
    """One that has no patience, with either of the parsers that uvicorn may have."""
    home = tmp_path_factory.mktemp("server")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "h11":
            patch.setitem(sys.modules, "httptools", None)
        else:
            pytest.importorskip("httptools")
        protocol = protocol_with(ServerLimits())
    assert request.param in protocol.__mro__[1].__module__
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "h11":
            patch.setitem(sys.modules, "httptools", None)
        with threaded_server(home, head_s=0.4, body_s=0.4, connections=40, max_delay_s=0.2) as port:
            yield port


@pytest.fixture
def connect(server):
    with contextlib.ExitStack() as stack:

        def connected() -> socket.socket:
            made = socket.create_connection(("127.0.0.1", server), timeout=20)
            stack.callback(made.close)
            return made

        yield connected


def until_closed(connection: socket.socket) -> bytes:
    """What comes until the server closes."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            parts.append(part)
    return b"".join(parts)


HEAD = b"POST /v1/networks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def test_a_head_that_does_not_end_is_closed(connect):
    connection = connect()
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: loc")
    assert b" 408 " in until_closed(connection)


def test_a_head_that_trickles_is_closed(connect):
    connection = connect()
    with contextlib.suppress(ConnectionError):
        for byte in b"GET /healthz HTTP/1.1\r\n" + b"X: " + b"y" * 200:
            connection.sendall(bytes([byte]))
            time.sleep(0.02)
    with contextlib.suppress(ConnectionError):
        assert b" 408 " in until_closed(connection)


def test_a_connection_that_says_nothing_is_closed(connect):
    assert b" 408 " in until_closed(connect())


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 5000\r\n", b"Transfer-Encoding: chunked\r\n"]
)
def test_a_body_that_does_not_come_is_closed(connect, framing):
    connection = connect()
    connection.sendall(HEAD + framing + b"\r\n")
    with contextlib.suppress(ConnectionError):
        for _ in range(40):
            connection.sendall(b"1\r\nx\r\n" if b"chunked" in framing else b"x")
            time.sleep(0.05)
    with contextlib.suppress(ConnectionError):
        assert b" 408 " in until_closed(connection)


def test_a_second_request_that_does_not_end_is_closed_too(connect):
    connection = connect()
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"200 OK" in connection.recv(65_536)
    connection.sendall(b"GET /hea")
    assert b" 408 " in until_closed(connection)


def test_a_head_without_end_is_not_kept(connect):
    connection = connect()
    connection.settimeout(5)
    with contextlib.suppress(ConnectionError):
        connection.sendall(b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 2_000_000)
    with contextlib.suppress(ConnectionError):
        assert b"200 OK" not in until_closed(connection)


def test_what_is_no_http_is_refused(connect):
    connection = connect()
    connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
    assert b" 400 " in until_closed(connection)


def test_connections_are_not_without_number(connect):
    many = [connect() for _ in range(60)]
    refused = 0
    for connection in many[45:]:
        refused += b" 503 " in until_closed(connection)
    assert refused == 15


def test_after_all_that_the_server_serves(server):
    time.sleep(0.5)
    with Client(f"http://127.0.0.1:{server}") as client:
        network = client.create("letters", examples=(np.zeros((4, 4)) + 0.5, [0, 1, 0, 1]))
        assert client.predict(network, np.zeros((3, 4))).outputs.shape == (3, 2)


def test_work_for_a_client_that_goes_away_is_given_up(server):
    with Client(f"http://127.0.0.1:{server}") as client:
        before = list(client.list())
        body = json.dumps(asks()).encode()
        with socket.create_connection(("127.0.0.1", server)) as connection:
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            time.sleep(0.05)  # It waits for others to come.
        time.sleep(0.5)
        assert list(client.list()) == before
