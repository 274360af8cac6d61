"""Why a record was refused: one short word each, the `reason` of a `Failure` and of its line in the ledger."""

from __future__ import annotations

UNREADABLE = "unreadable"  # a body that could not be cut into records
BAD_JSON = "bad_json"
BAD_TEXT = "bad_text"  # invalid UTF-8, a lone surrogate, a NUL
DUPLICATE_KEY = "duplicate_key"
TOO_DEEP = "too_deep"
LONG_NUMBER = "long_number"
WRONG_TYPE = "wrong_type"
BAD_TIME = "bad_time"
BAD_VALUE = "bad_value"  # an amount that is no amount: negative, NaN, beyond all measure
MISSING_FIELD = "missing_field"
NOT_TRUSTED = "not_trusted"  # only a server key may say this
UNKNOWN_KIND = "unknown_kind"
UNKNOWN_VERSION = "unknown_version"  # bytes of ours, but of another Rapport
NO_IDENTIFIER = "no_identifier"
UNKNOWN_KEY = "unknown_key"
DUPLICATE = "duplicate"  # the same record came before; filtered, not failed
CONFLICT = "conflict"  # the same id came before with another body
STEP_FAILED = "step_failed"  # a rule of ours broke on it

REASONS = (
    UNREADABLE,
    BAD_JSON,
    BAD_TEXT,
    DUPLICATE_KEY,
    TOO_DEEP,
    LONG_NUMBER,
    WRONG_TYPE,
    BAD_TIME,
    BAD_VALUE,
    MISSING_FIELD,
    NOT_TRUSTED,
    UNKNOWN_KIND,
    UNKNOWN_VERSION,
    NO_IDENTIFIER,
    UNKNOWN_KEY,
    CONFLICT,
    STEP_FAILED,
)
"""All reasons for which a record fails before it reaches its person."""


def form_of(value: object) -> str:
    """What kind of thing came and how long it is. Details show no more: a name, an address may stand anywhere."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str | bytes):
        return f"text of {len(value)} characters"
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    return "a number"


class Refused(ValueError):
    """A record that cannot be taken: `reason` is one of `REASONS`, `detail` says what was expected and what came.

    A detail never holds anything of the record but its form (see `form_of`) and names of fields that are ours.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
