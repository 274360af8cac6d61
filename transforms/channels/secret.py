"""Secrets of sinks: named in the workspace, found in the environment, shown nowhere."""

from __future__ import annotations

import os
from collections.abc import Mapping

from transforms.channels import ChannelError

_REFERENCE = "secret://"


class Hidden:
    """A text that shows itself only to who asks for it by `reveal`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Hidden(***)"


def variable_of(reference: str) -> str:
    """The environment variable that `secret://NAME` stands for: RAPPORT_SECRET_NAME. Raises ChannelError."""
    if not reference.startswith(_REFERENCE):
        raise ChannelError("secret: expected a reference secret://NAME, got something else (values never go here)")
    return f"RAPPORT_SECRET_{reference.removeprefix(_REFERENCE).upper().replace('-', '_')}"


def resolve(reference: str, what: str, environment: Mapping[str, str] = os.environ) -> Hidden:
    """The value behind a reference; `what` says its form to who has to set it. Raises ChannelError."""
    variable = variable_of(reference)
    value = environment.get(variable, "")
    if not value:
        raise ChannelError(f"secret: expected {variable} in the environment ({what}), it is not set")
    return Hidden(value)
