"""Read messages of TorchServe's frontend through the buffer, and compare with TorchServe's reader."""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections.abc import Iterator
from types import ModuleType

import pytest

from handlers.protocol import PIECE, read_ahead


@pytest.fixture
def protocol(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    module = pytest.importorskip("ts.protocol.otf_message_handler")
    monkeypatch.setattr(module, "_retrieve_buffer", module._retrieve_buffer)  # restored after the test
    return module


def sized(data: bytes) -> bytes:
    return struct.pack("!i", len(data)) + data


def message(bodies: list[bytes]) -> bytes:
    """Return the message for a prediction of several requests, each with two headers and a body."""
    end = struct.pack("!i", -1)
    text = b"I"
    for number, body in enumerate(bodies):
        text += sized(b"request-%d" % number)
        text += sized(b"Host") + sized(b"localhost") + sized(b"Content-Type") + sized(b"application/octet-stream") + end
        text += sized(b"body") + sized(b"application/octet-stream") + sized(body) + end
    return text + end


def received(protocol: ModuleType, pieces: list[bytes], messages: int) -> list[list[bytes]]:
    """Return the bodies of each message from a connection that delivers the bytes in these pieces."""
    worker, frontend = socket.socketpair()
    sender = threading.Thread(target=lambda: [frontend.sendall(piece) for piece in pieces])
    with worker, frontend:
        sender.start()
        requests = [protocol.retrieve_msg(worker)[1] for _ in range(messages)]
        sender.join()
    return [[bytes(request["parameters"][0]["value"]) for request in one] for one in requests]


def test_messages_are_read_as_torchserve_reads_them_however_they_arrive(protocol: ModuleType) -> None:
    generator = random.Random(0)
    batches = [[generator.randbytes(generator.choice([0, 1, 70, 5000])) for _ in range(size)] for size in (1, 64, 3)]
    batches.append([generator.randbytes(2 * PIECE + 1)])
    text = b"".join(map(message, batches))
    cuts = sorted(generator.sample(range(1, len(text)), 200))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    plain = received(protocol, pieces, len(batches))
    read_ahead(protocol)
    assert received(protocol, pieces, len(batches)) == plain == batches


def test_far_fewer_calls_reach_the_kernel(protocol: ModuleType) -> None:
    class Counting:
        def __init__(self, connection: socket.socket) -> None:
            self.connection, self.calls = connection, 0

        def recv(self, length: int) -> bytes:
            self.calls += 1
            return self.connection.recv(length)

    read_ahead(protocol)
    worker, frontend = socket.socketpair()
    with worker, frontend:
        frontend.sendall(message([b"text"] * 64))
        counting = Counting(worker)
        assert len(protocol.retrieve_msg(counting)[1]) == 64
        assert counting.calls < 10


def test_a_worker_ends_when_torchserve_is_gone(protocol: ModuleType) -> None:
    read_ahead(protocol)
    worker, frontend = socket.socketpair()
    with worker:
        frontend.sendall(message([b"text"])[:20])
        frontend.close()
        with pytest.raises(SystemExit):
            protocol.retrieve_msg(worker)
