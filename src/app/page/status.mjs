// How the server does: its figures each second, and what has become of them in the last minute.

import { Refused, ask, curl, pause, words } from "./api.mjs";
import { button, byId, copy, counted, element } from "./dom.mjs";

/** How far back the curves go, and how often their words change, in ms. */
const CURVE_MS = 60_000;
const WORDS_MS = 10_000;

/** What is asked each second, and what is asked with it each fifth time. */
const OFTEN = { info: "/info" };
const SELDOM = { ...OFTEN, health: "/health", embeddings: "/config/embeddings", caches: "/cache/stats", agent: "/agent/info" };

const BREAKERS = { closed: "is asked as usual", open: "is left alone for a while, it has failed", "half-open": "is tried with one call" };
const STORES = { disk: "kept on disk", memory: "kept in memory, until the server stops", failing: "not kept for now" };

const number = (value) => value.toLocaleString("en");
const percent = (share) => (share > 0 && share < 0.01 ? "under 1 %" : `${Math.round(share * 100)} %`);
const part = (done, all, what) => ({ text: `${number(done)} of ${counted(all, what)}`, share: all === 0 ? 1 : done / all });
const hits = (cache) => cache && `${number(cache.hits)} of ${number(cache.hits + cache.misses)} found`;

/**
 * By card: its title, where its figures are from, and the figures: name, meaning, and the place of a number in /info or the
 * words made of all that was told. One that has no words is not shown.
 */
const CARDS = [
  ["What answers", ["/info", "/config/embeddings"], [
    ["Mode", "A model writes the answers, or they are put together from sentences of the notes.",
      ({ info }) => (info.mode === "model" ? "A model, with the notes" : "The notes alone")],
    ["Model", "After some failures a breaker leaves a model alone for a while.",
      ({ info: { model } }) => model && `${model.name} ${BREAKERS[model.breaker]}`],
    ["Calls", "Of the model, since start.",
      ({ info: { model } }) => model && `${model.calls} under way, ${number(model.answered)} answered, ${number(model.failed)} failed`],
    ["Tools", "What the model may use to look further.", ({ agent }) => agent.tools.map(({ name }) => name).join(", ")],
    ["Embeddings", "A model that turns passages into numbers, so that they are found by meaning too.",
      ({ embeddings: { enabled, model, detail } }) => (enabled ? [model, detail].filter(Boolean).join(": ") : "none, words are searched")],
    ["Embedded", "The other passages are found by their words alone.",
      ({ embeddings: { enabled, embedded, passages } }) => enabled && part(embedded, passages, "passage")],
  ]],
  ["Notes", ["/info"], [
    ["Notes", "Markdown files in the folder.", "notes.count"],
    ["Links", "Those that lead nowhere included.", "notes.links"],
    ["Passages", "Notes are searched in pieces.", "notes.passages"],
    ["Index", "A note is found once it is indexed.",
      ({ info: { index } }) => (index.state === "ready" ? "ready" : part(index.done, index.notes, "note"))],
  ]],
  ["Runs", ["/info"], [
    ["Waiting", "A run is a question on its way to its answer.", "runs.pending"],
    ["At work", "All of them take turns on one thread.", "runs.running"],
    ["Completed", "Since start.", "runs.completed"],
    ["Failed", "Since start.", "runs.failed"],
    ["Cancelled", "Since start.", "runs.cancelled"],
  ]],
  ["Store", ["/info"], [
    ["Runs", "What is on disk outlives the server.", ({ info: { store } }) => STORES[store.state] + (store.detail ? `: ${store.detail}` : "")],
    ["Ended runs", "They can be asked for until they are too old.", "store.ended"],
    ["Written", "Changes that come together are one batch.",
      ({ info: { store } }) => `${counted(store.records, "change")} in ${number(store.batches)} batches`],
  ]],
  ["Caches", ["/cache/stats"], [
    ["Searches", "The same search again costs nothing.", ({ caches }) => hits(caches.searches)],
    ["Model's answers", "The same prompt is not asked twice.", ({ caches }) => hits(caches.model_answers)],
    ["Vectors", "The same question is not embedded twice.", ({ caches }) => hits(caches.question_vectors)],
  ]],
  ["Connections", ["/info"], [
    ["Open", "Clients that are connected now, this page among them.", "connections.open"],
    ["Accepted", "Since start.", "connections.accepted"],
    ["Turned away", "There was no descriptor left for them.", "connections.turned_away"],
    ["Outbound", "Begun by the server, to models and callbacks.", "connections.outbound"],
  ]],
  ["The loop", ["/info"], [
    ["Turns", "In a turn the loop waits until something is ready, and does a little for each.", "loop.turns"],
    ["Longest turn", "For so long nobody else was served, in processor time. It should stay under 10 ms.",
      ({ info }) => `${info.loop.longest_turn_ms.toFixed(1)} ms`],
    ["Busy", "The share of all time since start in which the loop did not wait.", ({ info }) => percent(info.loop.busy_share)],
    ["Waits", "Calls of epoll_wait, the only place where the thread sleeps.", "loop.waits"],
    ["Reads", "Calls of read. A short one means that a socket is drained.", "loop.reads"],
    ["Writes", "Calls of write. What a socket does not take waits until it will.", "loop.writes"],
  ]],
];

/** What the server has told last, and when. */
const told = {};
let toldAt = 0;
let [samples, wordsAt] = [[], 0];
const shown = [];
let curves = null;

/** Opens `#/status`: asks each second, while somebody looks. */
export async function show(parts, query, signal) {
  if (!curves) build();
  const clock = setInterval(tellAge, 1000);
  signal.addEventListener("abort", () => clearInterval(clock));
  for (let count = 0; ; count += 1) {
    while (document.hidden) {
      await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true, signal }));
    }
    try {
      const asked = Object.entries(count % 5 === 0 ? SELDOM : OFTEN);
      const answers = await Promise.all(asked.map(([, path]) => ask("GET", path, { signal, quiet: true })));
      asked.forEach(([name], index) => { told[name] = answers[index]; });
      toldAt = performance.now();
      sample();
      fill();
    } catch (error) {
      if (signal.aborted) throw error;
      // The page tells that the server can't be reached; the figures stay, with their age.
      if (error instanceof Refused) byId("status-line").textContent = words(error);
    }
    await pause(1000, signal);
  }
}

const asCurl = (method, path) => button(`${method} ${path}`, () => copy(curl(method, path)),
  { class: "bare", title: "Copy as curl", "aria-label": `Copy as curl: ${method} ${path}` });

function build() {
  curves = { turns: curve("Turns a second"), busy: curve("Share of time busy") };
  const cards = CARDS.map(([title, paths, figures]) => element("section", { class: "card", "aria-label": title },
    element("div", { class: "row spread" }, element("h2", {}, title), element("span", {}, paths.map((path) => asCurl("GET", path)))),
    element("dl", {}, figures.map(([name, meaning, value]) => {
      const [place, row] = [element("dd"), element("div", { title: meaning })];
      row.append(element("dt", {}, name), place);
      shown.push({ name, value, place, row, text: null });
      return row;
    })),
    title === "Notes" && [
      element("div", { class: "row spread" }, button("Read the folder again", sync, { id: "status-sync" }), asCurl("POST", "/sync")),
      element("div", { id: "status-synced", role: "status" })],
    title === "The loop" && element("figure", {}, curves.turns.node, curves.busy.node,
      element("figcaption", { id: "status-words", class: "quiet" })),
    element("details", { class: "quiet" }, element("summary", {}, "What this means"),
      element("ul", {}, figures.map(([name, meaning]) => element("li", {}, `${name}: ${meaning}`))))));
  byId("status").replaceChildren(
    element("h1", {}, "Status"),
    element("p", { class: "row" }, element("span", { id: "status-line" }, "Asking…"), element("span", { id: "status-age", class: "quiet" }),
      element("a", { href: "/docs" }, "The API"), element("a", { href: "/health" }, "Health")),
    element("div", { class: "status-cards" }, cards));
}

function fill() {
  for (const figure of shown) {
    const value = typeof figure.value === "string"
      ? number(figure.value.split(".").reduce((at, key) => at[key], told.info)) : figure.value(told);
    const { text, share } = value?.text ? value : { text: value };
    figure.row.hidden = !text;
    // What has not changed is left alone: somebody may be marking it.
    if (text === figure.text) continue;
    figure.text = text;
    figure.place.replaceChildren(text ?? "", share === undefined ? "" : element("progress", { value: share, "aria-label": figure.name }));
  }
  const { info: { version, uptime_seconds: seconds }, health } = told;
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  const up = days ? `${days} d ${hours} h` : hours ? `${hours} h ${minutes} min` : minutes ? `${minutes} min` : `${seconds} s`;
  byId("status-line").textContent = `Version ${version} is ${health.status}, and up for ${up}.`;
  tellAge();
}

function tellAge() {
  const age = Math.round((performance.now() - toldAt) / 1000);
  byId("status-age").textContent = toldAt > 0 && age > 2 ? `As of ${age} s ago` : "";
}

/** Takes the loop's figures down, and draws what became of them. */
function sample() {
  const { uptime_seconds: uptime, loop } = told.info;
  // Another process has begun to count anew.
  if (samples.length > 0 && loop.turns < samples.at(-1).turns) samples = [];
  // The server tells whole seconds; ours go on from the first it told, or a second more would pass for work.
  const since = samples[0]?.since ?? toldAt - uptime * 1000;
  samples.push({ at: toldAt, since, turns: loop.turns, busy: loop.busy_share * (toldAt - since) });
  // The share is rounded to a millionth of all time: the longer that is, the farther apart two of them must be to tell.
  const apart = Math.max(900, (toldAt - since) * 1e-4);
  const before = samples.findLast(({ at }) => at <= toldAt - apart);
  if (!before) return;
  const last = samples.at(-1);
  const previous = samples.at(-2);
  last.turnsRate = ((last.turns - previous.turns) * 1000) / (last.at - previous.at);
  last.busyShare = Math.max(0, Math.min(1, (last.busy - before.busy) / (last.at - before.at)));
  samples = samples.filter(({ at }) => at > toldAt - CURVE_MS - apart);
  curves.turns.draw("turnsRate", (most) => `${Math.ceil(most)}`, 5);
  curves.busy.draw("busyShare", percent, 0.01);
  if (toldAt - wordsAt < WORDS_MS) return;
  wordsAt = toldAt;
  byId("status-words").textContent = `Last second: ${counted(Math.round(last.turnsRate), "turn")}, busy ${percent(last.busyShare)} of the time. `
    + "That this page asks is in it.";
}

/** A curve of the last minute. Its words stand below it. */
function curve(name) {
  const drawn = (kind, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const line = drawn("polyline", { points: "" });
  const picture = drawn("svg", { viewBox: "0 0 600 100", preserveAspectRatio: "none", "aria-hidden": "true" });
  const scale = element("span", { class: "quiet" });
  picture.append(line);
  return {
    node: element("div", {}, element("div", { class: "row spread" }, element("span", {}, name), scale), picture),
    draw(key, words, least) {
      const known = samples.filter((one) => one[key] !== undefined);
      const most = Math.max(least, ...known.map((one) => one[key]));
      scale.textContent = `up to ${words(most)}`;
      line.setAttribute("points", known.map((one) =>
        `${(600 - ((toldAt - one.at) / CURVE_MS) * 600).toFixed(1)},${(98 - (one[key] / most) * 96).toFixed(1)}`).join(" "));
    },
  };
}

async function sync() {
  const place = byId("status-synced");
  byId("status-sync").disabled = true;
  place.replaceChildren("Reading…");
  try {
    const { added, changed, removed, problems } = await ask("POST", "/sync", { repeatable: true });
    place.replaceChildren(`${added} added, ${changed} changed, ${removed} removed, ${counted(problems.length, "problem")}.`,
      element("ul", { class: "problem" }, problems.map(({ path, problem }) => element("li", {}, `${path}: ${problem}`))));
  } catch (error) {
    place.replaceChildren(words(error));
  }
  byId("status-sync").disabled = false;
}
