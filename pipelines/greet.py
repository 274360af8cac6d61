"""What SDKs ask before they send anything, and the small documents that let them begin.

    GET /sourceConfig/?writeKey=…     RudderStack's web SDK: no destinations, post everything here
    GET /array/KEY/config             PostHog's web SDK: no flags, no recording, nothing to load
    POST /flags/?v=2, /decide/?v=3    PostHog's SDKs: no flag is on

Nothing here is recorded, and the answers say nothing that the holder of a write key does not know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pipelines.callers import Caller

Document = Mapping[str, Any]

_CONFIG = re.compile(r"/array/[^/]{1,200}/config/?")

_NO_FLAGS: Document = MappingProxyType(
    {"flags": {}, "featureFlags": {}, "featureFlagPayloads": {}, "errorsWhileComputingFlags": False}
)
_POSTHOG: Document = MappingProxyType(
    {
        "supportedCompression": ["gzip", "gzip-js"],
        "hasFeatureFlags": False,
        "autocapture_opt_out": True,
        "captureDeadClicks": False,
        "capturePerformance": False,
        "heatmaps": False,
        "sessionRecording": False,
        "surveys": False,
    }
)


def _rudder(caller: Caller) -> Document:
    """The source that a write key stands for; the SDK wants an id, a config and a list of destinations."""
    source = {
        "id": caller.source,
        "name": caller.source,
        "enabled": True,
        "config": {"statsCollection": {"errors": {"enabled": False}, "metrics": {"enabled": False}}},
        "destinations": [],
        "workspaceId": caller.tenant,
    }
    return {"source": source, "consentManagementMetadata": {"providers": []}}


KEYED: Mapping[str, Callable[[Caller], Document]] = {"/sourceConfig": _rudder}
"""What only a write key opens: the SDK would otherwise begin with a key that the door refuses."""

OPEN: Mapping[str, Document] = {"/flags": _NO_FLAGS, "/decide": {**_POSTHOG, **_NO_FLAGS}}
"""What is the same for everybody."""


def greets(path: str) -> bool:
    """Whether somebody asks on this path."""
    return _plain(path) in KEYED or open_to_all(path) is not None


def open_to_all(path: str) -> Document | None:
    """The answer that needs no write key; None if there is none on this path."""
    return _POSTHOG if _CONFIG.fullmatch(path) else OPEN.get(_plain(path))


def keyed(path: str, caller: Caller) -> Document:
    """The answer to this caller."""
    return KEYED[_plain(path)](caller)


def _plain(path: str) -> str:
    return path.rstrip("/")
