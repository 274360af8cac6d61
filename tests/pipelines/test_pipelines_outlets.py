"""Sinks of a workspace become channels, or say in one sentence why not."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from pipelines import outlets
from pipelines.config import ConfigError
from pipelines.outlets import open_outlet
from schemas.workspace import Dkim, MailServer, Sink
from transforms.channels.mail import Mail

WAY = ("shop", "email")
SERVER = MailServer("smtp.example.org", 587, "starttls", "Fernweh", "hello@example.org", connections=3, rate=7)


def opened(**changes: Any) -> Any:
    return open_outlet(WAY, Sink("smtp", mail=replace(SERVER, **changes)))


def test_a_mail_sink_is_opened_as_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPPORT_SECRET_MAIL", "c4n4ry")
    mail = opened(user="shop", password="secret://mail", again=True)
    assert isinstance(mail, Mail)
    assert (mail.place, mail.sink.klass, mail.sink.lanes, mail.sink.rate) == ("smtp://smtp.example.org:587", "C", 3, 7)
    assert not mail.sink.ends_doubt
    assert opened().sink.ends_doubt


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"user": "shop", "password": "secret://none"}, r"RAPPORT_SECRET_NONE in the environment \(the password\)"),
        ({"dkim": Dkim("example.org", "r", "secret://none")}, r"RAPPORT_SECRET_NONE .*RSA key"),
        ({"dkim": Dkim("example.org", "r", "secret://spoilt")}, "dkim: expected a private RSA key"),
    ],
)
def test_a_mail_sink_without_its_secret_is_named(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], says: str
) -> None:
    monkeypatch.setenv("RAPPORT_SECRET_SPOILT", "c4n4ry")
    with pytest.raises(ConfigError, match=f"^shop/email: .*{says}") as raised:
        opened(**changes)
    assert "c4n4ry" not in str(raised.value)


def test_a_mail_sink_without_its_packages_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlets, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"^shop/email: smtp: expected the packages for mail: pip install") as raised:
        opened()
    assert "\n" not in str(raised.value)
