"""Mail against a real SMTP server in process that answers as it is told, and fails at every point of a dialogue."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from datetime import UTC, datetime, timedelta
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import dkim  # type: ignore[import-untyped]
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from intents import intent
from mail_sink import DROP, HANG, MailSink
from patience import run

from schemas.records import Message
from transforms.channels import ChannelError
from transforms.channels.letter import Letterhead, Unwritable
from transforms.channels.mail import IMPLICIT, NONE, STARTTLS, Mail, Phase, Server, judge
from transforms.channels.secret import Hidden
from transforms.channels.signing import Dkim
from transforms.logic.delivery import ACCEPTED, AGAIN, NEVER, Answer

HEAD = Letterhead("Fernweh", "hello@fernweh.example")
LINK = "https://door.example/unsubscribe/" + "t" * 120


def said(**parts: str) -> bytes:
    return msgspec.json.encode(parts)


def post(sink: MailSink, *messages: Message, **server: Any) -> list[Answer]:
    """Send messages one after another."""

    async def whole() -> list[Answer]:
        async with sink:
            mail = Mail(Server("localhost", sink.port, **{"tls": NONE, **server}), HEAD)
            answers = [await mail.send(message) for message in messages]
            await mail.close()
        return answers

    return run(whole())


# --- what a mail looks like -------------------------------------------------------------------------------------------


def test_a_mail_arrives_as_it_was_written() -> None:
    sink = MailSink()
    body = said(
        subject="Zażółć gęślą jaźń " * 9, text="Dzień dobry,\n.\n..\n.Ana", html="<p>Dzień</p>", unsubscribe_url=LINK
    )
    assert post(sink, intent(body=body)) == [Answer(ACCEPTED, "250")]
    (mail,) = sink.mails
    assert (sink.senders, sink.to) == (["hello@fernweh.example"], ["ana@people.example"])
    assert str(make_header(decode_header(mail["Subject"]))) == ("Zażółć gęślą jaźń " * 9).strip()
    text, html = (part.get_payload(decode=True) for part in mail.get_payload())  # type: ignore[union-attr]
    assert text == "Dzień dobry,\r\n.\r\n..\r\n.Ana\r\n".encode()
    assert html == "<p>Dzień</p>\r\n".encode()
    assert mail["List-Unsubscribe"] == f"<{LINK}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["Message-ID"] == f"<{intent().key}@fernweh.example>"


def test_text_alone_makes_one_part_and_no_list_headers() -> None:
    letter = HEAD.write(intent(body=said(subject="Hello", text="Hi"))).decode()
    assert "multipart" not in letter
    assert "List-Unsubscribe" not in letter
    assert "Content-Type: text/plain" in letter


def test_the_bytes_are_the_same_at_every_attempt() -> None:
    body = said(subject="ż", text="ż", html="<b>ż</b>")
    assert HEAD.write(intent(body=body)) == HEAD.write(intent(body=body))
    assert HEAD.write(intent(body=body)) != HEAD.write(intent("eve", body=body))


EVIL = ("a\r\nBcc: a@evil.example", "a\nBcc: a", "a\rBcc: a", "\u2028Bcc: a", "=?utf-8?q?a=0ABcc:?=", "\0\x7f\x85a")


@pytest.mark.parametrize("evil", EVIL)
def test_no_word_adds_a_header(evil: str) -> None:
    head = Letterhead(evil, "hello@fernweh.example")
    body = json.dumps({"subject": evil, "text": "t", "unsubscribe_url": evil}).encode()
    letter = head.write(intent(body=body))
    names = [line.split(b":")[0] for line in letter.split(b"\r\n\r\n")[0].split(b"\r\n") if not line.startswith(b" ")]
    assert names == [b"From", b"To", b"Subject", b"Date", b"Message-ID", b"Content-Type", b"MIME-Version",
                     b"Content-Transfer-Encoding"]  # fmt: skip
    assert letter.isascii()
    assert letter.replace(b"\r\n", b"").find(b"\n") == letter.replace(b"\r\n", b"").find(b"\r") == -1
    assert max(map(len, letter.split(b"\r\n"))) < 998


@pytest.mark.parametrize(
    "to",
    [
        "ana",
        "ana@",
        "a b@x.example",
        "ana@x.example>",
        "a\r\nb@x.example",
        "<ana@x.example",
        "żo@x.example",
        "a@x..y",
        "",
    ],
)
def test_an_address_that_is_none_is_never_tried(to: str) -> None:
    sink = MailSink()
    assert post(sink, intent(to=to)) == [Answer(NEVER, "bad_address")]
    assert sink.connections == 0


def test_a_domain_in_any_script_is_written_in_ascii() -> None:
    sink = MailSink()
    assert post(sink, intent(to="ana@żółw.example"))[0].verdict == ACCEPTED
    assert sink.to == ["ana@xn--w-uga1v8h.example"]


def test_a_sender_that_is_no_address_cannot_be_opened() -> None:
    with pytest.raises(Unwritable):
        Letterhead("x", "nobody")


# --- connections ------------------------------------------------------------------------------------------------------


def test_one_connection_serves_many_mails() -> None:
    sink = MailSink().tell("RCPT", "250 OK", "550 5.1.1 unknown")
    answers = post(sink, *(intent(f"p{number}") for number in range(6)))
    assert [answer.code for answer in answers] == ["250", "550 5.1.1", *["250"] * 4]
    assert sink.connections == 1
    assert len(sink.taken) == 5


def test_a_connection_that_went_stale_is_replaced_unnoticed() -> None:
    async def whole() -> None:
        async with MailSink() as sink:
            mail = Mail(Server("localhost", sink.port, NONE), HEAD)
            assert (await mail.send(intent())).verdict == ACCEPTED
            for each in sink._open:
                each.transport.abort()
            assert (await mail.send(intent("eve"))).verdict == ACCEPTED
            assert (sink.connections, len(sink.taken)) == (2, 2)
            await mail.close()

    run(whole())


def test_an_attempt_that_is_broken_off_leaves_no_connection_behind() -> None:
    async def whole() -> None:
        async with MailSink().tell("RCPT", HANG) as sink:
            mail = Mail(Server("localhost", sink.port, NONE), HEAD)
            sending = asyncio.create_task(mail.send(intent()))
            while not sink.connections or sink.told["RCPT"]:
                await asyncio.sleep(0)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            assert sending.cancelled()
            assert mail._idle == []
            await mail.close()

    run(whole())


# --- encryption and login ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's, with a fresh certificate for localhost, and a client's that trusts it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file: Path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cafile=str(file))


@pytest.mark.parametrize("tls", [STARTTLS, IMPLICIT])
def test_mails_and_passwords_travel_encrypted(contexts: tuple[ssl.SSLContext, ssl.SSLContext], tls: str) -> None:
    sink = MailSink(contexts[0], implicit=tls == IMPLICIT)
    login: dict[str, Any] = {"user": "shop", "password": Hidden("right"), "tls": tls, "context": contexts[1]}
    assert post(sink, intent(), **login)[0] == Answer(ACCEPTED, "250")
    assert (sink.logins, sink.encrypted) == ([(b"shop", b"right")], [True])


def test_a_server_without_starttls_gets_neither_mail_nor_password() -> None:
    sink = MailSink()
    answers = post(sink, intent(), tls=STARTTLS, user="shop", password=Hidden("right"))
    assert answers == [Answer(AGAIN, "unreachable", throttle=True)]
    assert (sink.taken, sink.logins) == ([], [])


@pytest.mark.parametrize("tls", [STARTTLS, IMPLICIT])
def test_a_certificate_that_nobody_vouches_for_gets_nothing(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], tls: str
) -> None:
    sink = MailSink(contexts[0], implicit=tls == IMPLICIT)
    assert post(sink, intent(), tls=tls) == [Answer(AGAIN, "tls", throttle=True)]
    assert sink.taken == []


def test_a_wrong_password_makes_mails_wait_and_stays_hidden(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], caplog: pytest.LogCaptureFixture
) -> None:
    sink = MailSink(contexts[0])
    login: dict[str, Any] = {
        "user": "c4n4ry-user",
        "password": Hidden("c4n4ry-wrong"),
        "context": contexts[1],
        "tls": STARTTLS,
    }
    assert post(sink, intent(), **login) == [Answer(AGAIN, "535 5.7.8", throttle=True)]
    assert "cannot be talked to (535 5.7.8)" in caplog.text
    assert "c4n4ry" not in caplog.text
    assert "c4n4ry" not in repr(Server("h", 1, password=Hidden("c4n4ry-wrong")))


# --- signing ----------------------------------------------------------------------------------------------------------


def test_a_signature_covers_the_list_headers() -> None:
    key = rsa.generate_private_key(65537, 1024)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = base64.b64encode(
        key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    head = Letterhead("F", "hello@fernweh.example", sign=Dkim("fernweh.example", "rapport", Hidden(pem.decode())))
    letter = head.write(intent(body=said(subject="ż", text="t", html="<p>t</p>", unsubscribe_url=LINK)))
    asked: list[bytes] = []

    def found(name: bytes, timeout: float = 5) -> bytes:
        asked.append(name)
        return b"v=DKIM1; k=rsa; p=" + public

    assert dkim.verify(letter, dnsfunc=found)
    assert asked == [b"rapport._domainkey.fernweh.example."]
    assert not dkim.verify(letter.replace(b"door.example", b"evil.example"), dnsfunc=found)
    assert not dkim.verify(letter.replace(b"From: F", b"From: G"), dnsfunc=found)


@pytest.mark.parametrize("key", ["", "c4n4ry", "-----BEGIN PRIVATE KEY-----\nc4n4ry\n-----END PRIVATE KEY-----"])
def test_a_key_that_is_none_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ChannelError, match="private RSA key") as raised:
        Dkim("fernweh.example", "rapport", Hidden(key))
    assert "c4n4ry" not in str(raised.value)


# --- replies ----------------------------------------------------------------------------------------------------------

SESSION, SENDER, RECIPIENT, CONTENT = Phase


@pytest.mark.parametrize(
    ("phase", "code", "text", "answer"),
    [
        (SESSION, 421, "4.3.2 closing", Answer(AGAIN, "421 4.3.2", throttle=True)),
        (SESSION, 554, "5.7.1 not you", Answer(AGAIN, "554 5.7.1", throttle=True)),
        (SESSION, 535, "5.7.8 no", Answer(AGAIN, "535 5.7.8", throttle=True)),
        (SENDER, 550, "5.7.1 sender", Answer(AGAIN, "550 5.7.1", throttle=True)),
        (SENDER, 530, "5.7.0 login", Answer(AGAIN, "530 5.7.0", throttle=True)),
        (SENDER, 552, "5.3.4 too large", Answer(NEVER, "552 5.3.4")),
        (RECIPIENT, 450, "4.2.1 slow", Answer(AGAIN, "450 4.2.1")),
        (RECIPIENT, 451, "4.7.1 greylisted", Answer(AGAIN, "451 4.7.1")),
        (RECIPIENT, 452, "4.3.1 disk", Answer(AGAIN, "452 4.3.1", throttle=True)),
        (RECIPIENT, 550, "5.1.1 <ana@people.example> unknown", Answer(NEVER, "550 5.1.1")),
        (RECIPIENT, 530, "login first", Answer(AGAIN, "530", throttle=True)),
        (RECIPIENT, 252, "perhaps", Answer(AGAIN, "nonsense", throttle=True)),
        (CONTENT, 250, "2.0.0 queued as 1", Answer(ACCEPTED, "250 2.0.0")),
        (CONTENT, 451, "later", Answer(AGAIN, "451")),
        (CONTENT, 421, "4.3.0 bye", Answer(AGAIN, "421 4.3.0", throttle=True)),
        (CONTENT, 552, "5.2.2 full", Answer(NEVER, "552 5.2.2")),
        (CONTENT, 554, "5.7.1 spam", Answer(NEVER, "554 5.7.1")),
        (CONTENT, 354, "more", Answer(AGAIN, "nonsense", doubt=True)),
        (CONTENT, -1, "garbage", Answer(AGAIN, "nonsense", doubt=True)),
    ],
)
def test_what_a_reply_means(phase: Phase, code: int, text: str, answer: Answer) -> None:
    assert judge(phase, code, text) == answer


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("fault", [DROP, HANG])
def test_only_content_on_its_way_is_in_doubt(command: str, fault: str) -> None:
    sink = MailSink().tell(command, fault)
    (answer,) = post(sink, intent())
    assert answer.code == ("timeout" if fault == HANG else "broken")
    assert answer.doubt is (command == "DATA")
