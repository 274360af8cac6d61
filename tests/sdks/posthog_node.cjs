// PostHog for Node tells the story of the tests.
const { PostHog } = require("posthog-node");
const [url, key, story] = [process.argv[2], process.argv[3], JSON.parse(process.argv[4])];
const sdk = new PostHog(key, { host: url, flushAt: 20 });

sdk.identify({ distinctId: story.user, properties: { $set: { email: story.email } } });
const page = { $current_url: story.page.url, title: story.page.title };
sdk.capture({ distinctId: story.user, event: "$pageview", properties: page });
for (const [event, properties] of story.events) sdk.capture({ distinctId: story.user, event, properties });
sdk.groupIdentify({ groupType: "company", groupKey: "people-ltd", properties: { name: "People" } });
sdk.getAllFlags(story.user).then(() => sdk.shutdown()).then(() => process.exit(0));
