"""PostHog for Python tells the story of the tests."""

import json
import sys

from posthog import Posthog

url, key, story = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
sdk = Posthog(key, host=url, gzip="gzip" in sys.argv)
sdk.set(distinct_id=story["user"], properties={"email": story["email"]})
page = {"$current_url": story["page"]["url"], "title": story["page"]["title"]}
sdk.capture("$pageview", distinct_id=story["user"], properties=page)
for event, properties in story["events"]:
    sdk.capture(event, distinct_id=story["user"], properties=properties)
sdk.group_identify("company", "people-ltd", {"name": "People"})
sdk.shutdown()
