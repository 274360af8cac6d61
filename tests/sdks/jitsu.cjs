// Jitsu, as it runs outside of a browser, tells the story of the tests.
const { jitsuAnalytics } = require("@jitsu/js");
const [url, key, story] = [process.argv[2], process.argv[3], JSON.parse(process.argv[4])];
const sdk = jitsuAnalytics({ host: url, writeKey: `${key}:none`, s2s: process.argv[5] === "s2s" });

(async () => {
  await sdk.identify(story.user, { email: story.email });
  await sdk.page({ ...story.page, name: story.page.title });
  for (const [event, properties] of story.events) await sdk.track(event, properties);
  process.exit(0);
})();
