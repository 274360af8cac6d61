"""Snowplow for Python tells the story of the tests."""

import json
import sys

from snowplow_tracker import Emitter, PageView, SelfDescribing, SelfDescribingJson, Subject, Tracker

SHOP = "iglu:com.snowplowanalytics.snowplow.ecommerce/{}/jsonschema/{}"
url, key, story = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
host, port = url.removeprefix("http://").split(":")
way = sys.argv[4] if len(sys.argv) > 4 else "post"
sender = Emitter(host, protocol="http", port=int(port), method=way, batch_size=1 if way == "get" else 10)
tracker = Tracker("rapport", [sender], app_id=key, encode_base64="plain" not in sys.argv)
subject = Subject().set_user_id(story["user"])
said = dict(story["events"])


def entity(schema, version="1-0-0", /, **data):
    return SelfDescribingJson(SHOP.format(schema, version), data)


def product(product_id, **more):
    return entity("product", id=product_id, **more)


def act(kind, *entities):
    what = entity("snowplow_ecommerce_action", "1-0-2", type=kind)
    tracker.track(SelfDescribing(what, context=list(entities), event_subject=subject))


def own(name, /, **data):
    what = SelfDescribingJson(f"iglu:example.shop/{name}/jsonschema/1-0-0", data)
    tracker.track(SelfDescribing(what, event_subject=subject))


own("identify", email=story["email"])
tracker.track(PageView(page_url=story["page"]["url"], page_title=story["page"]["title"], event_subject=subject))
act("product_view", product(**said["Product Viewed"]))
added = dict(said["Product Added"])
cart = {"cart_id": added.pop("cart_id"), "currency": added.pop("currency"), "total_value": 179.8}
act("add_to_cart", product(**added), entity("cart", **cart))
order = said["Order Completed"]
paid = {"transaction_id": order["order_id"], "revenue": order["revenue"], "currency": order["currency"]}
act("transaction", *(product(**each) for each in order["products"]), entity("transaction", **paid))
own("unsubscribed", **said["Unsubscribed"])
tracker.flush()
