"""A time in any spelling is one moment; a clock that is wrong in one way is put right; nonsense is refused."""

import pytest

from schemas.failures import Refused
from schemas.records import DAY, HOUR, MINUTE, SECOND
from transforms.logic.times import event_time, moment

AT = 1_795_509_331_123_000  # 2026-11-24T08:35:31.123Z
NOW = 1_800_000_000 * SECOND


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-24T08:35:31.123Z",
        "2026-11-24T08:35:31.123+00:00",
        "2026-11-24T09:35:31.123+01:00",
        "2026-11-24T08:35:31.123000",
        "2026-11-24 08:35:31.123",
        "20261124T083531.123Z",
        1_795_509_331_123,
        "1795509331123",
        1_795_509_331.123,
        1_795_509_331_123_000,
        "1795509331123000",
        1_795_509_331_123_000_000,
    ],
)
def test_one_moment_in_many_spellings(written: object) -> None:
    assert abs(moment(written) - AT) <= 1


@pytest.mark.parametrize(("written", "expected"), [(None, 0), ("", 0), ("1970-01-02", DAY), (1, SECOND)])
def test_nothing_and_long_ago(written: object, expected: int) -> None:
    assert moment(written) == expected


@pytest.mark.parametrize(
    "written",
    [
        "yesterday",
        "+055000-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00x",
        -1,
        -1e300,
        0,
        "0",
        1e21,
        10**40,
        "9" * 5000,
        float("nan"),
        float("inf"),
        True,
        [],
        {},
        "٢٠٢٦",
        "²",
        "2026-13-01",
        "2026-11-24T25:00:00Z",
        " ",
        "\ud800",
    ],
)
def test_nonsense_is_refused(written: object) -> None:
    with pytest.raises(Refused, match="bad_time"):
        moment(written)


@pytest.mark.parametrize(
    ("made", "sent", "expected", "note"),
    [
        (0, 0, NOW, ""),
        (NOW - HOUR, 0, NOW - HOUR, ""),
        (NOW - HOUR, NOW, NOW - HOUR, ""),
        (NOW - HOUR - 10 * MINUTE, NOW - 10 * MINUTE, NOW - HOUR, ""),  # ten minutes slow
        (NOW + 10 * MINUTE, NOW + 10 * MINUTE + SECOND, NOW - SECOND, ""),  # ten minutes fast
        (NOW - 400 * DAY, NOW - 3 * DAY, NOW - 400 * DAY, "skew"),  # waited three days in a queue
        (SECOND, 2 * SECOND, SECOND, "skew"),  # a clock at 1970
        (NOW + 2 * MINUTE, 0, NOW, ""),
        (NOW + HOUR, 0, NOW, "future"),
        (NOW + 2 * DAY, NOW + 2 * DAY, NOW, "future"),
        (5, NOW - HOUR, 5 + HOUR, ""),
    ],
)
def test_event_time(made: int, sent: int, expected: int, note: str) -> None:
    assert event_time(made, sent, NOW) == (expected, note)


def test_a_correction_never_goes_before_1970() -> None:
    assert event_time(5, NOW + HOUR, NOW) == (0, "")
