// Claims, one line each. The first that does not hold ends the process, with what was seen.

/** What is told when a claim does not hold and nobody says what was seen: each a function that answers a text. */
export const witnesses = new Set();

/** Longest wait for what a test waits for, in ms. Nothing here takes a tenth of it, unless it never comes. */
export const PATIENCE = 20_000;

let last = "";

/** What `client` claims with: `await holds(claim, condition, seen)`. A condition may be a promise, or a list: then all must hold. */
export const by = (client) => {
  last ||= client;
  const fail = async (claim, seen) => {
    console.log(`FAILED ${client}: ${claim}`);
    console.log("seen:", seen ?? (await testimony()));
    process.exit(1);
  };
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", (error) => fail(`goes on behind “${last}”: ${error.stack}`));
  return async (claim, condition, seen) => {
    const parts = await Promise.all([condition].flat());
    if (!parts.every(Boolean)) await fail(claim, seen);
    last = claim;
    console.log(`ok ${client}: ${claim}`);
  };
};

async function testimony() {
  const told = await Promise.allSettled([...witnesses].map((witness) => witness()));
  return told.map(({ value, reason }) => value ?? String(reason)).join("\n");
}

/** Asks until there is an answer; null when the time is over. Each look waits for what it asks, so nobody sleeps. */
export async function until(look) {
  for (const end = performance.now() + PATIENCE; performance.now() < end;) {
    const answer = await look();
    if (answer) return answer;
  }
  return null;
}

/** A promise, and what settles it. */
export function settled() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}
