// Snowplow for Node tells the story of the tests, with the e-commerce schemas as its web plug-in sends them.
const { newTracker, buildPageView, buildSelfDescribingEvent } = require("@snowplow/node-tracker");
const [url, key, story] = [process.argv[2], process.argv[3], JSON.parse(process.argv[4])];
const [way, coded] = [process.argv[5] || "post", process.argv[6] !== "plain"];
const failed = (error) => { console.error(error); process.exit(1); };
const sdk = newTracker(
  { namespace: "rapport", appId: key, encodeBase64: coded },
  { endpoint: url, eventMethod: way, bufferSize: 1, onRequestFailure: failed },
);
const shop = (name, version, data) => ({
  schema: `iglu:com.snowplowanalytics.snowplow.ecommerce/${name}/jsonschema/${version}`, data,
});
const act = (type, ...entities) =>
  sdk.track(buildSelfDescribingEvent({ event: shop("snowplow_ecommerce_action", "1-0-2", { type }) }), entities);
const product = ({ product_id, ...rest }) => shop("product", "1-0-0", { id: product_id, ...rest });
const own = (name, data) =>
  sdk.track(buildSelfDescribingEvent({ event: { schema: `iglu:example.shop/${name}/jsonschema/1-0-0`, data } }));
const said = Object.fromEntries(story.events);

sdk.setUserId(story.user);
own("identify", { email: story.email });
sdk.track(buildPageView({ pageUrl: story.page.url, pageTitle: story.page.title }));
act("product_view", product(said["Product Viewed"]));
const { cart_id, currency, ...added } = said["Product Added"];
act("add_to_cart", product(added), shop("cart", "1-0-0", { cart_id, currency, total_value: 179.8 }));
const { order_id, revenue, products, ...paid } = said["Order Completed"];
act("transaction", ...products.map(product), shop("transaction", "1-0-0", {
  transaction_id: order_id, revenue, currency: paid.currency, payment_method: "card", total_quantity: 2,
}));
own("unsubscribed", said["Unsubscribed"]);
sdk.flush();
setTimeout(() => process.exit(0), 2000);
