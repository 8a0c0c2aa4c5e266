"""Sending e-mail to a real server on this machine, and writing it to the log."""

import socketserver
import threading
from collections.abc import Iterator

import pytest

from app.infra.mail import Mailer


class Server(socketserver.ThreadingTCPServer):
    """A mail server that takes one message at a time, without TLS, and keeps them."""

    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.messages: list[str] = []


class _Conversation(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"220 ready\r\n")
        while line := self.rfile.readline():
            word = line.split()[0].lower()
            if word == b"data":
                self.wfile.write(b"354 go on\r\n")
                lines = iter(self.rfile.readline, b".\r\n")
                assert isinstance(self.server, Server)
                self.server.messages.append(b"".join(lines).decode())
            if word == b"quit":
                self.wfile.write(b"221 bye\r\n")
                return
            self.wfile.write(b"250 ok\r\n")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_message_reaches_the_server(server: Server) -> None:
    address = f"smtp://127.0.0.1:{server.server_address[1]}"
    Mailer(address, sender="game@example.org").send(
        to="ada@example.org", subject="Hé", text="Hello"
    )
    (message,) = server.messages
    assert "To: ada@example.org" in message
    assert "From: game@example.org" in message
    assert "Hello" in message


def test_a_password_is_not_sent_in_the_clear(server: Server) -> None:
    address = f"smtp://me:secret@127.0.0.1:{server.server_address[1]}"
    with pytest.raises(OSError, match="STARTTLS"):
        Mailer(address, sender="a@b.cd").send(to="ada@example.org", subject="x", text="y")
    assert server.messages == []


def test_a_header_cannot_be_slipped_in(server: Server) -> None:
    address = f"smtp://127.0.0.1:{server.server_address[1]}"
    with pytest.raises(ValueError, match="linefeed"):
        Mailer(address, sender="a@b.cd").send(to="a@b.cd\nBcc: x@y.z", subject="x", text="y")


def test_without_a_server_the_log_has_the_message(caplog: pytest.LogCaptureFixture) -> None:
    Mailer(None, sender="a@b.cd").send(to="ada@example.org", subject="x", text="open this")
    assert "open this" in caplog.text


@pytest.mark.parametrize("url", ["mail.example.org", "http://x", "smtp://"])
def test_an_address_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="LAYERPLAY_SMTP_URL"):
        Mailer(url, sender="a@b.cd")
