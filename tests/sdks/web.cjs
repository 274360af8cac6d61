// Web SDKs tell the story of the tests in a simulated browser: `rudder`, `posthog` or `snowplow`.
const fs = require("fs");
const { JSDOM } = require("jsdom");
const [url, key, story, which] = [process.argv[2], process.argv[3], JSON.parse(process.argv[4]), process.argv[5]];
const seconds = (n) => new Promise((done) => setTimeout(done, n * 1000));
const window = new JSDOM(`<title>${story.page.title}</title><body></body>`, {
  url: story.page.url, pretendToBeVisual: true, runScripts: "outside-only",
}).window;
const shared = { window, document: window.document, location: window.location, localStorage: window.localStorage,
  sessionStorage: window.sessionStorage, XMLHttpRequest: window.XMLHttpRequest, history: window.history,
  screen: window.screen, self: window, navigator: window.navigator };
for (const [name, value] of Object.entries(shared))
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
window.fetch = (to, options) => fetch(to, { ...options, headers: { ...(options || {}).headers, Origin: "https://shop.example" } });
for (const name of ["CompressionStream", "TextEncoder", "TextDecoder"]) window[name] = globalThis[name];

const tell = {
  async rudder() {
    const folder = "@rudderstack/analytics-js/dist/npm/modern/bundled/umd/index.js";
    const file = process.env.NODE_PATH.split(":").map((each) => `${each}/${folder}`).find(fs.existsSync);
    window.eval(fs.readFileSync(file, "utf8"));
    const sdk = new window.rudderanalytics.RudderAnalytics();
    await new Promise((ready) => {
      sdk.load(key, url, { configUrl: url, useBeacon: false, polyfillIfRequired: false, logLevel: "ERROR" });
      sdk.ready(ready);
      setTimeout(ready, 5000);
    });
    sdk.identify(story.user, { email: story.email });
    sdk.page(story.page.title);
    for (const [event, properties] of story.events) sdk.track(event, properties);
    await seconds(5);
  },
  async posthog() {
    const posthog = require("posthog-js").default || require("posthog-js");
    posthog.init(key, { api_host: url, capture_pageview: false, disable_external_dependency_loading: true });
    posthog.identify(story.user, { email: story.email });
    posthog.capture("$pageview");
    for (const [event, properties] of story.events) posthog.capture(event, properties);
    await seconds(8);
  },
  async snowplow() {
    const sp = require("@snowplow/browser-tracker");
    const shop = require("@snowplow/browser-plugin-snowplow-ecommerce");
    const own = (name, data) => sp.trackSelfDescribingEvent({ event: { schema: `iglu:example.shop/${name}/jsonschema/1-0-0`, data } });
    const product = ({ product_id, ...rest }) => ({ id: product_id, currency: "EUR", ...rest });
    const said = Object.fromEntries(story.events);
    sp.newTracker("rapport", url, { appId: key, plugins: [shop.SnowplowEcommercePlugin()] });
    sp.setUserId(story.user);
    own("identify", { email: story.email });
    sp.trackPageView();
    shop.trackProductView(product(said["Product Viewed"]));
    const { cart_id, currency, ...added } = said["Product Added"];
    shop.trackAddToCart({ products: [product(added)], cart_id, currency, total_value: 179.8 });
    const { order_id, revenue, products, currency: money } = said["Order Completed"];
    shop.trackTransaction({ transaction_id: order_id, revenue, currency: money, payment_method: "card",
      total_quantity: 2, products: products.map(product) });
    own("unsubscribed", said["Unsubscribed"]);
    await seconds(4);
  },
};
tell[which]().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
