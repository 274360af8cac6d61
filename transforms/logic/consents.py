"""Permissions in a record, each a whole statement or none: an incomplete one takes permission back."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from schemas.failures import Refused
from schemas.records import Consent
from transforms.logic.bodies import decode
from transforms.logic.times import moment
from transforms.logic.wording import visible

ANY = "*"
MOST = 50
"""So many permissions of one record are kept; withdrawals always."""
MOST_SAID = 1000
"""More statements in one record are not read: they are one withdrawal of everything."""
_YES = frozenset(("accept", "accepted", "grant", "granted", "opt_in", "true"))
_NO = frozenset(
    ("reject", "rejected", "deny", "denied", "withdraw", "withdrawn", "revoke", "revoked", "opt_out", "false")
)
_TRUE = frozenset((True, 1, "true", "yes", "1"))
_NOTHING = b"{}"
_NAME = 60
_PROOF = 500


class Statement(Struct, gc=False):
    """A consent record as it is sent."""

    action: Any = None
    accept: Any = None
    category: Any = None
    channel: Any = None
    valid_until: Any = None
    unlimited: Any = None
    proof: Any = None


_statements = msgspec.json.Decoder(list[Statement] | Statement | None)

_EVERYTHING = Consent(False, ANY, ANY, 0, "")
OPT_IN = Consent(True, "marketing", "email", 0, "marketing_opt_in")
"""What a ticked box at sign-up says."""


def listed(raw: Raw) -> tuple[Consent, ...]:
    """The statements of a property `consent`, a list or one object; one that says neither yes nor no takes back.

    Beyond `MOST` only permissions are dropped; beyond `MOST_SAID` everything is taken back.
    Raises Refused (wrong_type).
    """
    if bytes(raw) == _NOTHING:
        return ()
    if bytes(raw).count(b"{") > MOST_SAID:
        return (_EVERYTHING,)
    found = decode(_statements, raw)
    said = [consent(each) for each in (found if isinstance(found, list) else [found] if found else [])]
    return tuple(said) if len(said) <= MOST else _fewer(said)


def withdrawn(found: tuple[Consent, ...]) -> tuple[Consent, ...]:
    """What of it takes permission back: all that counts where an SDK repeats what somebody said long ago."""
    return tuple(each for each in found if not (each.accept and each.valid))


def _fewer(said: list[Consent]) -> tuple[Consent, ...]:
    """Every withdrawal, once each, and as many permissions as there is room for."""
    grants = [each for each in said if each.accept and each.valid]
    refusals = {(each.category, each.channel): each for each in said if not (each.accept and each.valid)}
    return (*refusals.values(), *grants[: max(0, MOST - len(refusals))])


def consent(said: Statement) -> Consent:
    """One statement. Neither yes nor no, or a yes without category or end, is not valid."""
    action = _word(said.accept if said.action is None else said.action)
    category, accept = _word(said.category), action in _YES
    until, bounded = _until(said)
    valid = bool(category) and (bounded if accept else action in _NO)
    proof = visible(said.proof, _PROOF) if isinstance(said.proof, str) else ""
    channel = _word(said.channel)
    return Consent(accept, category, ANY if channel in ("", "any", "all") else channel, until, proof, valid)


def is_true(value: object) -> bool:
    """Whether a tick box was ticked, as forms and programs say it."""
    return isinstance(value, bool | int | str) and (value.lower() if isinstance(value, str) else value) in _TRUE


def _until(said: Statement) -> tuple[int, bool]:
    """When a permission ends (0 = never), and whether that was said."""
    try:
        until = moment(said.valid_until)
    except Refused:
        return 0, False
    return until, until > 0 or is_true(said.unlimited)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return visible(value, _NAME).strip().lower() if isinstance(value, str) else ""
