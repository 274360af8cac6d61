"""The ways out of a workspace, opened: which channel each sink is, with its secrets from the environment."""

from __future__ import annotations

from importlib.util import find_spec

from pipelines.config import ConfigError
from schemas import workspace
from transforms.channels import Channel, ChannelError
from transforms.channels.letter import Letterhead, Signer
from transforms.channels.secret import resolve
from transforms.channels.webhook import Secret, Webhook
from transforms.surroundings import Way


def open_outlet(way: Way, sink: workspace.Sink) -> Channel:
    """The channel of a sink outside this machine. Raises ConfigError naming the way that cannot be opened."""
    try:
        if sink.kind == "smtp" and sink.mail is not None:
            return _mail(sink.mail)
        if sink.kind == "webhook":
            return Webhook(sink.url, Secret.resolve(sink.secret), allow_private=sink.allow_private)
        raise ChannelError(f"kind: expected recorder, webhook or smtp, got {sink.kind!r}")
    except ChannelError as error:
        raise ConfigError(f"{'/'.join(way)}: {error}") from None


def _mail(server: workspace.MailServer) -> Channel:
    if find_spec("aiosmtplib") is None or find_spec("dkim") is None:
        raise ChannelError("smtp: expected the packages for mail: pip install 'rapport[mail]'")
    from transforms.channels.mail import Mail, Pace, Server

    password = resolve(server.password, "the password") if server.password else None
    letterhead = Letterhead(server.name, server.address, server.reply_to, _signer(server.dkim))
    return Mail(
        Server(server.host, server.port, server.tls, server.user, password),
        letterhead,
        Pace(server.connections, float(server.rate), again=server.again),
    )


def _signer(settings: workspace.Dkim | None) -> Signer | None:
    if settings is None:
        return None
    from transforms.channels.signing import Dkim

    return Dkim(settings.domain, settings.selector, resolve(settings.key, "a private RSA key in PEM"))
