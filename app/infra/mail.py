"""Sending e-mail, or writing it to the log where there is no mail server."""

import logging
import smtplib
import ssl
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

_log = logging.getLogger(__name__)
_TIMEOUT_S = 20


class Mailer:
    """smtp_url: `smtps://user:password@host:465`, or `smtp://host:587`, which must offer STARTTLS
    before a password is sent. None writes messages to the log."""

    def __init__(self, smtp_url: str | None, *, sender: str) -> None:
        self._url = urlsplit(smtp_url) if smtp_url else None
        if self._url and (self._url.scheme not in {"smtp", "smtps"} or not self._url.hostname):
            raise ValueError("LAYERPLAY_SMTP_URL begins with smtp:// or smtps://, then the host.")
        self._sender = sender

    def send(self, *, to: str, subject: str, text: str) -> None:
        """Send a message in plain text. OSError (SMTPException is one) when it was not taken."""
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = to
        message["Subject"] = subject
        message.set_content(text)
        if self._url is None:
            # A warning, since what lies below it is not written to every log. Not the message
            # itself, which is base64 as soon as a letter in it is not ASCII.
            _log.warning(
                "There is no mail server, so this was not sent:\nTo: %s\nSubject: %s\n\n%s",
                to,
                subject,
                text,
            )
            return
        with self._connect() as server:
            server.send_message(message)

    def _connect(self) -> smtplib.SMTP:
        url = self._url
        assert url is not None
        host, tls = url.hostname or "", ssl.create_default_context()
        if url.scheme == "smtps":
            port = url.port or 465
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=_TIMEOUT_S, context=tls)
        else:
            server = smtplib.SMTP(host, url.port or 587, timeout=_TIMEOUT_S)
        try:
            server.ehlo()
            if url.scheme == "smtp" and (url.username or server.has_extn("starttls")):
                server.starttls(context=tls)
            if url.username:
                server.login(unquote(url.username), unquote(url.password or ""))
        except OSError:
            server.close()
            raise
        return server
