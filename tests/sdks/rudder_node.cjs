// RudderStack for Node tells the story of the tests.
const RudderAnalytics = require("@rudderstack/rudder-sdk-node");
const [url, key, story] = [process.argv[2], process.argv[3], JSON.parse(process.argv[4])];
const sdk = new RudderAnalytics(key, { dataPlaneUrl: url, flushAt: 20 });

sdk.identify({ userId: story.user, traits: { email: story.email } });
sdk.page({ userId: story.user, name: story.page.title, properties: story.page });
for (const [event, properties] of story.events) sdk.track({ userId: story.user, event, properties });
sdk.flush().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
