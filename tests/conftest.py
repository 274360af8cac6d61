"""Servers that tests share: started once when a test first asks, stopped at the end; absent ones skip by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pubsub_emulator import Emulator


@pytest.fixture(scope="session")
def kafka_mock() -> Iterator[str]:
    """The address of a Kafka of our own process; each test takes topics of its own."""
    from kafka_mock import KafkaMock

    mock = KafkaMock()
    yield mock.address
    from transforms.sources.kafka import close_all

    close_all()
    mock.close()


@pytest.fixture
def pubsub_emulator(monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The one emulator of this run, and Google's client told of it; each test takes topics of its own."""
    from pubsub_emulator import needed, shared

    needed()
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", shared().address)
    return shared()


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real broker; each test takes topics of its own."""
    from kafka_server import KafkaServer, missing

    if why := missing():
        pytest.skip(why)
    with KafkaServer(tmp_path_factory.mktemp("kafka")) as server:
        yield server.address
        from transforms.sources.kafka import close_all

        close_all()
