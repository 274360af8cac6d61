"""Keeping leases: a thread a reader that tells the server what is settled, returned and still held.

It outlives its reader for as long as a checkpoint may still settle something. What it cannot tell in time comes again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from threading import Event, Thread

from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError
from google.cloud.pubsub_v1 import SubscriberClient

from transforms.sources.leases import Due, Leases

_TOLD_EVERY = 0.1
"""Seconds between two looks at what there is to tell."""
_ASKED_EVERY = 10
"""Every so many looks the server is asked for a sign of life."""
_RENEWALS = 3
"""How often a lease is renewed before it would run out."""
_AT_ONCE = 1_000
_TIMEOUT = 5.0
_SILENT = (exceptions.ServerError, exceptions.TooManyRequests, exceptions.Cancelled)
"""What a call ends with that was not answered, or not taken."""
_REFUSED = (exceptions.NotFound, exceptions.Forbidden, exceptions.Unauthorized)

_books: dict[bytes, Leases] = {}


class Lost(OSError):
    """A subscription or topic that cannot be used as things are: says what is wrong and what to do."""


def book_of(name: bytes) -> Leases | None:
    """The leases of one reader, if it was of this process and something of it is left."""
    return _books.get(name)


def connection(path: str) -> SubscriberClient:
    """A connection of its own. Raises Lost without credentials."""
    try:
        return SubscriberClient()
    except DefaultCredentialsError as error:
        raise Lost(unauthorized(path)) from error


def unauthorized(path: str) -> str:
    return (
        f"{path}: expected Google credentials, found none; run `gcloud auth application-default login` "
        "or set GOOGLE_APPLICATION_CREDENTIALS"
    )


def sentence(path: str, error: Exception, role: str = "roles/pubsub.subscriber") -> str:
    """What a person can do about an error; empty if it will pass by itself."""
    if isinstance(error, exceptions.NotFound):
        return f"{path}: expected it to exist, the server knows no such name; create it, or correct the name"
    if isinstance(error, exceptions.Forbidden | exceptions.Unauthorized):
        return f"{path}: this account may not use it; grant it {role}"
    if isinstance(error, exceptions.InvalidArgument | exceptions.FailedPrecondition):
        return f"{path}: the server refuses it ({error.message}); correct its name or its settings"
    return ""


class Keeper:
    """Tells the server about the leases of one reader, until that is closed and nothing is lent any more.

    It asks for a sign of life every second, so that somebody knows that server and subscription are there.
    """

    def __init__(self, leases: Leases, path: str, lease: int, clock: Callable[[], int]) -> None:
        self._leases, self._path, self._lease, self._clock = leases, path, lease, clock
        self._closed = Event()
        self._client = connection(path)

    def start(self, book: bytes, heard: Callable[[], None], refused: Callable[[Exception], None]) -> None:
        """Begin; `book` is the name under which `book_of` finds the leases. `heard` is called at each answer,
        `refused` if the subscription is gone or not ours to use.
        """
        _books[book] = self._leases
        self._heard, self._refused = heard, refused
        Thread(target=self._keep, args=(book,), name=f"leases of {self._path}", daemon=True).start()

    def close(self) -> None:
        """No more leases will come: end when the last one has."""
        self._closed.set()

    def _keep(self, book: bytes) -> None:
        renewed = looks = 0
        while not (self._closed.is_set() and self._leases.idle):
            now = self._clock()
            renew = now - renewed >= self._lease * 1_000_000 // _RENEWALS
            due = self._leases.due(now, renew=renew)
            renewed = now if renew else renewed
            if self._told(due) if any(due) else looks % _ASKED_EVERY == 0 and self._answers():
                self._heard()
            looks += 1
            time.sleep(_TOLD_EVERY)
        del _books[book]
        self._client.close()

    def _told(self, due: Due) -> bool:
        """Tell all of it; True if the server answered everything."""
        held = [self._ask(self._client.modify_ack_deadline, some, self._lease) for some in _cut(due.held)]
        returned = [self._ask(self._client.modify_ack_deadline, some, 0) for some in _cut(due.returned)]
        return all([*held, *returned, *map(self._settled, _cut(due.settled))])

    def _settled(self, leases: list[str]) -> bool:
        answered = self._ask(self._client.acknowledge, leases)
        if not answered:
            self._leases.owe(leases)
        return answered

    def _answers(self) -> bool:
        """Ask for what will be refused: only a server can refuse, and this costs it nothing."""
        return self._ask(self._client.acknowledge, [])

    def _ask(self, call: Callable[..., None], leases: list[str], seconds: int | None = None) -> bool:
        """True if there was an answer, consent or not: a lease that the server no longer knows is no trouble."""
        more = {} if seconds is None else {"ack_deadline_seconds": seconds}
        try:
            call(subscription=self._path, ack_ids=leases, retry=None, timeout=_TIMEOUT, **more)
        except _SILENT:
            return False
        except _REFUSED as error:
            self._refused(error)
        except exceptions.GoogleAPICallError:
            pass
        return True


def _cut(leases: list[str]) -> Iterator[list[str]]:
    """Requests of bounded size."""
    return (leases[start : start + _AT_ONCE] for start in range(0, len(leases), _AT_ONCE))
