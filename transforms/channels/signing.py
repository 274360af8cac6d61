"""DKIM: mails signed under the shop's own domain, the list headers among what is signed, as RFC 8058 asks."""

from __future__ import annotations

import dkim  # type: ignore[import-untyped]

from transforms.channels import ChannelError
from transforms.channels.secret import Hidden

SIGNED = (
    b"from", b"to", b"reply-to", b"subject", b"date", b"message-id", b"mime-version", b"content-type",
    b"list-unsubscribe", b"list-unsubscribe-post",
)  # fmt: skip
"""Also where a mail has none of it: nobody can add one on the way."""

_TRIAL = b"From: a@example.org\r\n\r\n\r\n"


class Dkim:
    """Signs with an RSA key in PEM for `selector` under `domain`. Raises ChannelError if the key is none."""

    def __init__(self, domain: str, selector: str, key: Hidden) -> None:
        self._domain, self._selector, self._key = domain.encode(), selector.encode(), key
        try:
            self(_TRIAL)
        except (dkim.DKIMException, ValueError, IndexError):
            raise ChannelError("dkim: expected a private RSA key in PEM, the secret holds something else") from None

    def __call__(self, letter: bytes) -> bytes:
        """The DKIM-Signature header with its line end."""
        signature: bytes = dkim.sign(
            letter, self._selector, self._domain, self._key.reveal().encode(), include_headers=list(SIGNED)
        )
        return signature
