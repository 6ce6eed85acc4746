// What a first visit costs: bytes and requests. Times are measured and told, and nothing is claimed of them.

import { by } from "./claims.mjs";
import { Oneloop } from "./servers.mjs";
import { Person, close } from "./tabs.mjs";

const holds = by("weight");
const BYTES_MAX = 100_000;
const server = await Oneloop.start("weight");

/** All that a first visit was answered, as the browser has counted it. */
async function visit(view) {
  const person = await Person.come(server);
  const answered = [];
  person.context.on("requestfinished", (request) => answered.push(request));
  const tab = await person.open(view);
  await tab.page.waitForLoadState("networkidle");
  const entries = await tab.page.evaluate(() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .map(({ name, encodedBodySize, decodedBodySize, transferSize }) => ({ name, encodedBodySize, decodedBodySize, transferSize })));
  const paint = await tab.page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  const sum = (key) => entries.reduce((total, entry) => total + entry[key], 0);
  await person.context.close();
  return { entries, paint, answered, bytes: sum("encodedBodySize"), plain: sum("decodedBodySize"), wire: sum("transferSize"), left: person.left };
}

const first = await visit("");
await holds(`a first visit is less than ${BYTES_MAX} bytes, heads of answers included: ${first.wire}, of them ${first.bytes} in bodies, ${first.plain} unpacked`,
  first.bytes > 10_000 && first.wire < BYTES_MAX, first.entries);
await holds("the files of the page are packed", first.entries.filter(({ name }) => /\.(mjs|css)$/.test(name)).every(({ encodedBodySize, decodedBodySize }) => encodedBodySize < decodedBodySize),
  first.entries);
const names = first.entries.map(({ name }) => name);
const files = names.filter((name) => /\.(mjs|css)$/.test(name));
await holds(`it is ${names.length} requests, no file of the page twice`, new Set(files).size === files.length && names.length < 35, names);
await holds("all of them to the server itself", names.every((name) => new URL(name).origin === server.url), names);
const paints = [];
for (let count = 0; count < 5; count += 1) paints.push((await visit("")).paint);
const [least, , median, , most] = paints.sort((a, b) => a - b).map(Math.round);
console.log(`measured weight: first contentful paint from loopback: ${least} / ${median} / ${most} ms (least / median / most of 5)`);

await holds("nothing was complained of", first.left.length === 0, first.left);
await close();
