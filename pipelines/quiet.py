"""What Beam says while it is imported and what is no news: it lacks the clients of Google, and we ask for none."""

from __future__ import annotations

import logging

EXPECTED = ("Failed to import GCSFileSystem", "apitools not found, and bigquery client libraries")
"""How these lines begin; all others are heard."""


def expect_no_google() -> None:
    """Leave those lines out of this process's log from now on."""
    for name in ("root", "apache_beam.io.filesystems"):
        logging.getLogger(None if name == "root" else name).addFilter(_news)


def _news(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(EXPECTED)
