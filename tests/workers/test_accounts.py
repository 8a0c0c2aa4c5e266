"""The tasks that send e-mails, as a worker runs them; without a mail server they go to the log."""

import pytest

from app.installation import Installation
from tests.factories import make_account
from workers import accounts


def test_a_password_link_leads_to_the_site_of_the_settings(
    inst: Installation, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYERPLAY_SITE_ADDRESS", "https://play.example/")
    with inst.transaction() as session:
        make_account(session, email="ada@example.org")
    accounts.send_password_link(email="ada@example.org")
    assert "https://play.example/reset/" in caplog.text


def test_an_address_is_confirmed_by_a_link(
    inst: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    with inst.transaction() as session:
        account = make_account(session)
    accounts.send_confirmation(account_id=str(account.id), email="new@example.org")
    assert "http://127.0.0.1:8000/confirm/" in caplog.text
    assert "To: new@example.org" in caplog.text
