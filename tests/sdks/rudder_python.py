"""RudderStack for Python tells the story of the tests."""

import json
import sys

import rudderstack.analytics as sdk

url, key, story = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
sdk.write_key, sdk.dataPlaneUrl = key, url
sdk.identify(story["user"], {"email": story["email"]})
sdk.page(story["user"], None, story["page"]["title"], story["page"])
for event, properties in story["events"]:
    sdk.track(story["user"], event, properties)
sdk.flush()
