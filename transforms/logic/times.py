"""When something happened, whatever clock said so. Microseconds since 1970.

A sender's clock may be wrong, but it is wrong in the same way when a record is made and when it leaves. So

    event time = received − (sent − made)

A correction of more than a day is not believed: the record rather waited somewhere, and then its own time stands.
"""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.failures import BAD_TIME, Refused, form_of
from schemas.records import DAY, MINUTE, SECOND

AHEAD = 5 * MINUTE
"""Nothing happens after it was received; a time further ahead than this is worth counting."""

MOST_SKEW = DAY

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SCALES = ((10**11, SECOND), (10**14, 1000), (10**17, 1))  # seconds, milliseconds, microseconds
_NANOSECONDS = 10**20


def moment(value: object) -> int:
    """A time as ISO text (without a zone: UTC) or as a number since 1970 whose unit its size tells; 0 for nothing.

    Raises Refused (bad_time) for anything else, for times before 1970 and after the year 9999.
    """
    if isinstance(value, str) and value and not (value.isdecimal() and value.isascii()):
        return _iso(value)
    if value is None or value == "":
        return 0
    if not isinstance(value, str | int | float) or isinstance(value, bool) or len(str(value)) > 30:
        raise _bad(value)
    return _number(value)


def event_time(made: int, sent: int, received: int) -> tuple[int, str]:
    """The time of an event on the journal's clock, and what was amended: "", `skew` (not believed) or `future`.

    `made` and `sent` are the sender's clock, 0 where unknown.
    """
    if not made:
        return received, ""
    time, note = made, ""
    if sent:
        skew = received - sent
        if -MOST_SKEW <= skew <= MOST_SKEW:
            time += skew
        else:
            note = "skew"
    if time > received:
        return received, "future" if time > received + AHEAD else note
    return time if time > 0 else 0, note


def _iso(text: str) -> int:
    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        raise _bad(text) from error
    delta = (read if read.tzinfo else read.replace(tzinfo=UTC)) - _EPOCH
    if delta.days < 0:
        raise _bad(text)
    return delta.days * DAY + delta.seconds * SECOND + delta.microseconds


def _number(value: str | int | float) -> int:
    try:
        number = value if isinstance(value, float) else int(value)
    except ValueError as error:
        raise _bad(value) from error
    for limit, scale in _SCALES:
        if 0 < number < limit:
            return int(number * scale)
    if 0 < number < _NANOSECONDS:
        return int(number) // 1000
    raise _bad(value)


def _bad(value: object) -> Refused:
    return Refused(BAD_TIME, f"expected an ISO time or a number since 1970, got {form_of(value)}")
