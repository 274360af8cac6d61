"""Cutting bodies: what each SDK sends gives the entries it means, and nothing hostile gives more than one failure."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from transforms.logic.intake import EVENT_BYTES, RECORDS, REQUEST_BYTES, TooLarge, cut, cut_line, inflate

GOLDEN = sorted((Path(__file__).parent.parent / "golden" / "segment").glob("*.json"))
CALLS = {"t": "track", "i": "identify", "p": "page", "a": "alias", "g": "group", "s": "screen", "b": "batch"}


def call_of(path: str) -> str:
    last = path.partition("?")[0].rpartition("/")[2]
    return CALLS.get(last, last)


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_recorded_bodies_give_one_piece_an_event(file: Path) -> None:
    for request in json.loads(file.read_text())["requests"]:
        plain = request["body"].encode()
        found = cut(call_of(request["path"]), gzip.compress(plain) if request["gzip"] else plain)
        seen = [
            {"kind": piece.kind, "messageId": json.loads(piece.body)["messageId"], "sent_at": piece.sent_at}
            for piece in found.pieces
        ]
        assert seen == request["expect"]
        assert all(piece.body in plain for piece in found.pieces), "the caller's bytes are kept"


def test_a_single_event_keeps_the_bytes_of_the_whole_body() -> None:
    body = b'  {"event": "X",\n "b": 1.50}'
    (piece,) = cut("track", body).pieces
    assert (piece.kind, piece.body, piece.event) == ("track", body, b'"X"')


def test_the_write_key_is_read_from_the_body() -> None:
    assert cut("track", b'{"writeKey":"k"}').write_key == "k"
    assert cut("batch", b'{"batch":[],"writeKey":"k"}').write_key == "k"
    assert cut("batch", b'{"batch":[],"writeKey":7}').write_key == ""


@pytest.mark.parametrize("call", ["mention", "receipt"])
def test_mentions_and_receipts_come_alone_or_together(call: str) -> None:
    assert [piece.kind for piece in cut(call, b'{"text":"hi"}').pieces] == [call]
    together = json.dumps({f"{call}s": [{"a": 1}, {"a": 2}]}).encode()
    assert [piece.kind for piece in cut(call, together).pieces] == [call, call]


def test_a_batch_takes_the_kind_of_each_event_from_its_type() -> None:
    events = [{"type": "Track"}, {"type": "identify"}, {"type": "dance"}, {"no": "type"}, {"type": 7}, 5, None, []]
    kinds = [piece.kind for piece in cut("batch", json.dumps({"batch": events}).encode()).pieces]
    assert kinds == ["track", "identify", *["unreadable"] * 6]


def test_a_lone_event_at_the_batch_path_is_a_batch_of_one() -> None:
    assert [piece.kind for piece in cut("batch", b'{"type":"page"}').pieces] == ["page"]


@pytest.mark.parametrize("sent", ["2026-11-24T08:00:00Z", "2026-11-24T09:00:00+01:00", "2026-11-24T08:00:00"])
def test_the_senders_clock_is_read_in_every_zone(sent: str) -> None:
    (piece,) = cut("track", json.dumps({"sentAt": sent}).encode()).pieces
    assert piece.sent_at == 1_795_507_200_000_000


@pytest.mark.parametrize("sent", ["yesterday", "", None, 7, {"a": 1}, "2026-13-45T99:00:00Z"])
def test_a_clock_that_cannot_be_read_is_unknown(sent: Any) -> None:
    assert cut("track", json.dumps({"sentAt": sent}).encode()).pieces[0].sent_at == 0


HOSTILE = {
    "nothing": b"",
    "no json": b"hello",
    "a number": b"7",
    "a list": b"[{}]",
    "null": b"null",
    "half": b'{"event": "X"',
    "two": b"{}{}",
    "nan": b'{"a": NaN}',
    "bad escape": b'{"a": "\\x"}',
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep, small": b'{"type":"track","a":' + b"[" * 65 + b"]" * 65 + b"}",
    "torn gzip": gzip.compress(b'{"type":"track"}')[:-9],
    "no gzip": b"\x1f\x8bhello",
    "two gzips": gzip.compress(b'{"type":"track"}') * 2,
    "gzip in gzip": gzip.compress(gzip.compress(b'{"type":"track"}')),
    "too long": b'{"type":"track","a":"' + b"x" * EVENT_BYTES + b'"}',
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("call", ["track", "batch"])
def test_what_cannot_be_cut_is_one_unreadable_record_of_bounded_size(call: str, body: bytes) -> None:
    (piece,) = cut(call, body).pieces
    assert piece.kind == "unreadable"
    assert piece.body == body[:EVENT_BYTES]


def test_one_bad_event_does_not_spoil_its_batch() -> None:
    good, large = {"type": "track", "event": "X"}, {"type": "track", "a": "x" * EVENT_BYTES}
    pieces = cut("batch", json.dumps({"batch": [good, large, good]}).encode()).pieces
    assert [piece.kind for piece in pieces] == ["track", "unreadable", "track"]
    assert len(pieces[1].body) == EVENT_BYTES


GOOD = b'{"type":"page","name":"\\ud83d\\ude00 \\u00e9"}'
BAD = {
    "half a pair": b'{"type":"track","event":"\\ud800"}',
    "the other half": b'{"type":"track","event":"\\udc00x"}',
    "halves the wrong way round": b'{"type":"track","a":"\\udc00\\ud800"}',
    "nan": b'{"type":"track","a":NaN}',
    "a bad escape": b'{"type":"track","a":"\\x"}',
    "a line break in text": b'{"type":"track","a":"\n"}',
    "deep lists": b'{"type":"track","a":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "lists alone": b"[" * 50_000 + b"]" * 50_000,
    "no value": b"troo",
    "not quite an object": b'{"type":"track",,"a":[{}]}',
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_what_no_reader_takes_costs_one_record_of_its_batch(bad: bytes) -> None:
    body = b'{"x":[{"batch":[]}],"batch":[' + b" ,\n".join([GOOD, bad, GOOD]) + b'],"writeKey":"k"}'
    found = cut("batch", body)
    assert found.write_key == "k"
    assert [(piece.kind, piece.body) for piece in found.pieces] == [
        ("page", GOOD),
        ("unreadable", bad[:EVENT_BYTES]),
        ("page", GOOD),
    ]
    assert found.pieces[1].whole == bad


def test_a_broken_batch_keeps_its_clock_and_loses_no_byte_behind_it() -> None:
    body = b'{"sentAt":"2026-11-24T08:00:00Z","batch":[{"type":"page"}]}{"batch":[{"type":"track"}]}'
    first, rest = cut("batch", body).pieces
    assert (first.kind, first.sent_at) == ("page", 1_795_507_200_000_000)
    assert (rest.kind, rest.body) == ("unreadable", b'{"batch":[{"type":"track"}]}')


@pytest.mark.parametrize("end", [b"", b"]", b"]}", b',"', b" "])
def test_a_batch_that_was_cut_off_keeps_its_whole_records(end: bytes) -> None:
    pieces = cut("batch", b'{"batch":[' + GOOD + b"," + GOOD + b',{"type":"tra' + end).pieces
    assert [piece.kind for piece in pieces] == ["page", "page", "unreadable"]
    assert pieces[2].body == (b'{"type":"tra' + end).strip()
    assert cut("batch", b'{"batch":[' + GOOD + b", ").pieces[0].kind == "page"


@pytest.mark.parametrize("call", ["mention", "receipt"])
def test_one_broken_post_or_receipt_is_alone(call: str) -> None:
    body = b'{"%ss":[{"a":1},{"a":"\\ud800"},{"a":2}]}' % call.encode()
    assert [piece.kind for piece in cut(call, body).pieces] == [call, "unreadable", call]


def test_invalid_bytes_where_intake_looks_cost_only_their_record() -> None:
    spoilt = [b'{"type":"\xe9"}', b'{"type":"track","event":"\xe9"}', b'{"type":"page","sentAt":"\xe9"}', GOOD]
    pieces = cut("batch", b'{"writeKey":"\xe9","sentAt":"\xe9","batch":[' + b",".join(spoilt) + b"]}").pieces
    assert [piece.kind for piece in pieces] == ["unreadable", "track", "page", "page"]
    assert [cut_line(line).kind for line in spoilt] == ["unreadable", "track", "page", "page"]


def test_too_many_records_are_refused_in_a_broken_batch_too() -> None:
    with pytest.raises(TooLarge, match="at most"):
        cut("batch", b'{"batch":[' + b"0," * RECORDS + b"0,NaN]}")


PRICE = 10.0
"""Milliseconds that a hostile body of 100 KB may cost; of a larger one, as many times more."""


@pytest.mark.parametrize(
    "bad",
    [b"[", b"{", b'"', b'\\"', b'"\\"', b"],", b"[],", b"{},", b'"a":', b"\\u0000", b"0", b"9,", b"\xff", b",", b"-"],
)
def test_a_broken_batch_costs_no_more_than_its_size(bad: bytes) -> None:
    for start in (b'{"batch":[', b'{"batch":[{"a":', b'{"batch":["', b""):
        body = start + bad * (400_000 // len(bad))
        prices = []
        for _ in range(3):
            before = time.process_time()
            with suppress(TooLarge):
                assert cut("batch", body).pieces
            prices.append((time.process_time() - before) * 1000)
        assert min(prices) < 4 * PRICE * 2, start


def test_brackets_in_text_and_wide_records_are_not_deep() -> None:
    wide = {"type": "track", "a": "[{" * 200, "b": '\\"[[[[', "products": [{"i": [n]} for n in range(200)]}
    assert cut_line(json.dumps(wide).encode()).kind == "track"


@pytest.mark.parametrize("depth, kind", [(63, "track"), (64, "unreadable")])
def test_depth_is_counted_exactly(depth: int, kind: str) -> None:
    assert cut("track", b'{"a":' + b"[" * depth + b"]" * depth + b"}").pieces[0].kind == kind


def test_a_bomb_is_refused_without_being_unpacked() -> None:
    engine = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    bomb = b"".join(engine.compress(b"\0" * 1_000_000) for _ in range(300)) + engine.flush()
    with pytest.raises(TooLarge, match="unpacks to at most"):
        inflate(bomb)
    with pytest.raises(TooLarge):
        inflate(gzip.compress(b"\0" * 2_000_000))  # a ratio of a thousand
    assert len(inflate(gzip.compress(b"\0" * 60_000))) == 60_000


def test_too_many_records_are_refused() -> None:
    body = b'{"batch":[' + b"0," * RECORDS + b"0]}"
    assert len(body) < REQUEST_BYTES
    with pytest.raises(TooLarge, match="at most"):
        cut("batch", body)


def test_lines_of_a_file_say_what_they_are() -> None:
    lines = [b'{"type":"mention"}', b'{"type":"receipt"}', b'{"type":"group"}', b'{"type":"derived"}', b"x"]
    assert [cut_line(line).kind for line in lines] == ["mention", "receipt", "group", "unreadable", "unreadable"]
