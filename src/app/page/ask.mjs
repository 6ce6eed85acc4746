// The view where one asks: conversations at the side, questions with their answers, and the passages that these rest on.
//
// The server keeps all of it. What stands in the browser is only what the server does not have yet: the words that are being
// typed, and a question that is on its way. Such a question has a key, so that sending it again is not asking twice.

import { announce, button, byId, confirmed, counted, element, freshId, memory, moment, quietly, redraw, toast } from "./dom.mjs";
import { Refused, ask, asked, pause, words } from "./api.mjs";
import { Reading, follow } from "./reading.mjs";
import { Exchange } from "./answer.mjs";
import { watchTasks } from "./tasks.mjs";

/** The conversation that is shown. */
let session = null;
let signal = null;
let exchanges = [];
let chosen = null;
let conversationsShown = 50;

/** As many as the server lists at once. */
const CONVERSATIONS_MAX = 1000;

/** What a conversation may be called (docs/sessions.md), and the bytes of a question (docs/http.md). */
const SESSION = /^[\w\-~:@+=][\w.\-~:@+=]{0,127}$/;
const MESSAGE_BYTES_MAX = 128 * 1024;

const wide = matchMedia("(min-width: 70rem)");

/** Opens the view: `#/ask/SESSION`, `#/ask/new`, or `#/ask` for the last one. */
export async function show([name], query, left) {
  signal = left;
  if (!name) name = memory.read("session") ?? "new";
  const isNew = name === "new";
  // Words that were begun in a conversation that is not there yet are taken up again.
  if (isNew) name = memory.read(`draft.${memory.read("unsent")}`) ? memory.read("unsent") : freshId();
  if (!SESSION.test(name)) throw new Refused(404, "No conversation can have this name.");
  history.replaceState(null, "", `#/ask/${name}`);
  session = name;
  memory.write("session", name);
  exchanges = [];
  byId("exchanges").replaceChildren();
  if (query.get("q")) keepDraft(query.get("q"));
  byId("question").value = memory.read(`draft.${name}`) ?? "";
  grow();
  choose(null);
  title("");
  byId("composer-problem").hidden = true;
  quietly(listConversations());
  quietly(tellWhoAnswers());
  if (!isNew) await load();
  // On a touch screen the focus would bring up the keyboard, over what one has come to read.
  if (matchMedia("(pointer: fine)").matches) byId("question").focus({ preventScroll: true });
}

function keepDraft(text) {
  memory.write(`draft.${session}`, text || null);
  if (exchanges.length === 0) memory.write("unsent", session);
}

/** Sets up what stays. */
export function start() {
  const question = byId("question");
  question.addEventListener("input", () => {
    keepDraft(question.value);
    grow();
  });
  question.addEventListener("keydown", (event) => {
    // While a word is being composed (Chinese, Japanese), Enter belongs to it.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    byId("composer").requestSubmit();
  });
  byId("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = question.value.trim();
    if (text === "") return;
    const tooLong = new TextEncoder().encode(text).length - MESSAGE_BYTES_MAX;
    byId("composer-problem").hidden = tooLong <= 0;
    byId("composer-problem").textContent = `This is ${tooLong.toLocaleString("en")} bytes too long for a question.`;
    if (tooLong > 0) return;
    question.value = "";
    memory.write(`draft.${session}`, null);
    grow();
    begin(text);
  });
  byId("more-conversations").addEventListener("click", () => {
    conversationsShown = Math.min(conversationsShown + 200, CONVERSATIONS_MAX);
    quietly(listConversations());
  });
  byId("conversations").open = wide.matches;
  wide.addEventListener("change", placeSources);
  const strategy = byId("strategy");
  strategy.value = memory.read("strategy") ?? "model";
  strategy.addEventListener("change", () => memory.write("strategy", strategy.value));
  document.addEventListener("tasks", ({ detail }) => joinOthers(detail));
  onTheWay().filter((waiting) => !waiting.problem).forEach(deliver);
}

function grow() {
  const question = byId("question");
  question.rows = Math.min(10, Math.max(2, question.value.split("\n").length));
}

function title(text) {
  // A conversation begins with its first question, which is its title: nobody needs to see it twice.
  byId("conversation-title").textContent = text || "Ask your notes";
  byId("conversation-title").classList.toggle("hidden", text !== "");
  document.title = text ? `${text} · oneloop` : "oneloop";
  byId("welcome").hidden = text !== "";
}

async function tellWhoAnswers() {
  const { mode, model, strategies } = await ask("GET", "/agent/info", { signal });
  byId("strategy-label").hidden = mode !== "model" || strategies.length < 2;
  const { notes, index } = await ask("GET", "/info", { signal });
  const state = index.state === "ready" ? "" : ` ${index.done} of ${index.notes} are read so far.`;
  byId("welcome").textContent = `${counted(notes.count, "note")}.${state} ${model
    ? `${model.name ?? model} answers out of them; without it the notes answer themselves.`
    : "They answer themselves, word for word, without a model."} Every answer names its passages.`;
}

// --- Conversations ---------------------------------------------------------------------------------------------------

async function listConversations() {
  const leaving = signal;
  const [{ sessions, next }, { tasks }] = await Promise.all([
    ask("GET", `/sessions?limit=${conversationsShown}`, { signal }),
    ask("GET", "/tasks?limit=50", { signal }),
  ]);
  if (leaving.aborted) return;
  // One whose first message is not answered yet is no session of the list.
  const known = new Set(sessions.map((one) => one.session_id));
  const begun = tasks.filter((task) => task.session_id && !task.completed_at && !known.has(task.session_id));
  const unlisted = new Map(begun.reverse().map((task) => [task.session_id, {
    session_id: task.session_id, title: task.message, status: "busy", updated_at: task.created_at,
  }]));
  const all = [...unlisted.values(), ...sessions].sort((a, b) => b.updated_at.localeCompare(a.updated_at));
  redraw(byId("conversation-list"), ...all.map(conversation));
  byId("more-conversations").hidden = !next || conversationsShown === CONVERSATIONS_MAX;
}

function conversation({ session_id, title: name, status, updated_at }) {
  const label = name || session_id;
  const isThis = session_id === session;
  if (isThis) title(name);
  return element("li", { class: "conversation" },
    element("a", { href: `#/ask/${session_id}`, "aria-current": isThis && "page" },
      element("span", { class: "name" }, label),
      element("span", { class: "quiet" }, status === "busy" ? "answering…" : moment(updated_at))),
    button("×", () => forget(session_id, label), { class: "bare", "aria-label": `Delete conversation: ${label}` }));
}

async function forget(id, label) {
  if (!await confirmed(`Delete “${label}”? What was said in it is let go of; notes stay as they are.`, "Delete")) return;
  try {
    await asked("DELETE", `/sessions/${encodeURIComponent(id)}`);
  } catch (error) {
    // It had no answer yet, or somebody else has deleted it.
    if (error.status !== 404) return toast(words(error));
  }
  memory.write(`draft.${id}`, null);
  toast("Deleted");
  if (id === session) location.hash = "#/ask/new";
  else quietly(listConversations());
}

// --- What was asked --------------------------------------------------------------------------------------------------

/** While the conversation is loaded, nothing else adds to it. */
let isLoading = false;

async function load() {
  isLoading = true;
  try {
    await loadKept();
  } finally {
    isLoading = false;
  }
}

/** Shows what the server has of the conversation, and what is still on its way to it. */
async function loadKept() {
  const leaving = signal;
  const kept = await ask("GET", `/sessions/${encodeURIComponent(session)}`, { signal }).catch(nothingIf(404));
  const { tasks } = await ask("GET", "/tasks?limit=200", { signal });
  if (leaving.aborted) return;
  const all = new Map();
  for (const { role, content, created_at, task_id } of kept?.messages ?? []) {
    const one = all.get(task_id) ?? { task_id };
    all.set(task_id, role === "user" ? { ...one, content, created_at } : { ...one, answer: content });
  }
  for (const one of kept?.unanswered ?? []) all.set(one.task_id, one);
  // What was stopped or has failed is no part of the conversation, but whoever asked it wants to see it.
  for (const { task_id, session_id, message, created_at } of tasks) {
    if (session_id === session && !all.has(task_id)) all.set(task_id, { task_id, content: wholeOf(task_id, message), created_at });
  }
  for (const one of [...all.values()].sort((a, b) => a.created_at.localeCompare(b.created_at))) {
    const exchange = add(one.content ?? "", one.created_at);
    exchange.reading = new Reading(one.task_id);
    if (one.answer !== undefined) showKept(exchange, one.answer);
    else exchange.isOpen = true;
  }
  quietly(followOpen());
  for (const waiting of onTheWay().filter((one) => one.session === session)) quietly(attend(waiting, add(waiting.message, null)));
  exchanges.at(-1)?.node.scrollIntoView({ block: "end" });
}

const nothingIf = (status) => (error) => {
  if (error.status === status) return null;
  throw error;
};

/** An answer of the conversation. Its sources are asked for when it is looked at. */
function showKept(exchange, answer) {
  const { reading } = exchange;
  reading.text = answer;
  reading.end("completed");
  exchange.show();
  const looked = new IntersectionObserver(async ([entry]) => {
    if (!entry.isIntersecting) return;
    looked.disconnect();
    try {
      reading.takeTask(await ask("GET", `/chat/task/${reading.id}`, { signal }));
      exchange.show();
      if (exchange === exchanges.at(-1)) choose(exchange);
    } catch (error) {
      if (error instanceof Refused) exchange.say("Its sources are not kept any more.");
    }
  });
  looked.observe(exchange.node);
  signal.addEventListener("abort", () => looked.disconnect());
}

function add(question, askedAt) {
  const exchange = new Exchange(question, askedAt ?? new Date().toISOString(), deeds);
  exchanges.push(exchange);
  byId("exchanges").append(exchange.node);
  choose(exchange);
  if (exchanges.length === 1) title(question.slice(0, 120));
  return exchange;
}

/** Reads the answers that are not there yet one after the other, as they are given. */
let isFollowing = null;
async function followOpen() {
  if (isFollowing === signal) return;
  const leaving = signal;
  isFollowing = leaving;
  for (let next; (next = exchanges.find((one) => one.isOpen)); next.isOpen = false) {
    await followOne(next, leaving);
    if (leaving.aborted) return;
  }
  isFollowing = null;
}

async function followOne(exchange, leaving) {
  const wasOver = exchange.reading.isOver;
  exchange.show();
  announce("The question was asked.");
  try {
    await follow(exchange.reading, {
      signal: leaving,
      changed: () => exchange.show(),
      said: (text) => { exchange.line.textContent = text; },
    });
  } catch (error) {
    if (leaving.aborted) return;
    exchange.say(words(error), true);
    exchange.line.textContent = "";
    exchange.node.setAttribute("aria-busy", "false");
    exchange.actions.replaceChildren(button("Ask again", () => deeds.again(exchange)));
    return;
  }
  exchange.show();
  if (!wasOver) tellTheEnd(exchange.reading);
  quietly(listConversations());
  watchTasks();
}

function tellTheEnd({ status, text, sources, error }) {
  const begins = text.replace(/\s*\[\d+\]/g, "").slice(0, 300);
  if (status === "completed") announce(`The answer is there, with ${counted(sources.length, "source")}. ${begins}`);
  else announce(status === "failed" ? `It failed: ${error}` : "Stopped.");
}

// --- Asking ----------------------------------------------------------------------------------------------------------

/** Questions that no server has confirmed yet. */
const onTheWay = () => memory.read("asking") ?? [];

function begin(message) {
  const label = byId("strategy-label");
  const waiting = { key: freshId(), message, session, strategy: label.hidden ? undefined : byId("strategy").value };
  memory.write("asking", [...onTheWay(), waiting].slice(-20));
  const exchange = add(message, null);
  exchange.node.scrollIntoView({ block: "end" });
  quietly(attend(waiting, exchange));
}

/** By their keys: what is being delivered by this page, `{accepted, say}`. */
const deliveries = new Map();

/** Brings a question to the server, however long that takes and whatever is shown meanwhile. */
function deliver(waiting) {
  const known = deliveries.get(waiting.key);
  if (known) return known;
  const delivery = { say: () => {} };
  delivery.accepted = bring(waiting, (...told) => delivery.say(...told));
  quietly(delivery.accepted);
  deliveries.set(waiting.key, delivery);
  return delivery;
}

async function bring({ key, message, session: name, strategy }, say) {
  for (;;) {
    try {
      const accepted = await ask("POST", "/chat/async", {
        json: { message, session_id: name, strategy },
        headers: { "Idempotency-Key": key },
        repeatable: true,
      });
      arrived(key);
      return accepted;
    } catch (error) {
      const mayPass = !(error instanceof Refused) || error.status >= 500;
      say(mayPass ? `${words(error)} Trying again…` : words(error), !mayPass);
      if (!mayPass) {
        // It stays on the list, for whoever asked it to see why.
        memory.write("asking", onTheWay().map((one) => (one.key === key ? { ...one, problem: words(error) } : one)));
        deliveries.delete(key);
        throw error;
      }
      await pause((error.retryAfter ?? 1) * 1000);
    }
  }
}

function arrived(key) {
  memory.write("asking", onTheWay().filter((one) => one.key !== key));
  deliveries.delete(key);
}

/** Shows how a question gets to the server, and then its answer. */
async function attend(waiting, exchange) {
  const leaving = signal;
  if (waiting.problem) return showRefused(waiting, exchange);
  const delivery = deliver(waiting);
  exchange.say("Asking…");
  delivery.say = (text, isProblem) => exchange.say(text, isProblem);
  let accepted;
  try {
    accepted = await delivery.accepted;
  } catch (error) {
    if (leaving.aborted) return toast(`A question was refused: ${words(error)}`);
    return showRefused({ ...waiting, problem: words(error) }, exchange);
  }
  keepWhole(accepted.task_id, waiting.message);
  watchTasks();
  quietly(listConversations());
  if (leaving.aborted) return;
  // A page that was loaded meanwhile may have found it on the server.
  if (exchanges.some((one) => one.reading?.id === accepted.task_id)) return removeExchange(exchange);
  exchange.reading = new Reading(accepted.task_id);
  exchange.isOpen = true;
  exchange.show();
  quietly(followOpen());
}

/** A question that the server does not take: its words go back to where they can be mended, or away. */
function showRefused({ key, message, problem }, exchange) {
  exchange.say(problem, true);
  exchange.node.setAttribute("aria-busy", "false");
  const away = (deed) => () => {
    arrived(key);
    removeExchange(exchange);
    deed();
  };
  exchange.actions.replaceChildren(
    button("Put it back", away(() => suggest(message)), { title: "Into the box below" }),
    button("Throw it away", away(() => {})));
}

/** Puts words where they can be mended and asked; what stands there already stays. */
function suggest(message) {
  const question = byId("question");
  question.value = [question.value, message].filter(Boolean).join("\n\n");
  keepDraft(question.value);
  grow();
  question.focus();
}

function removeExchange(exchange) {
  exchange.node.remove();
  exchanges = exchanges.filter((one) => one !== exchange);
  if (chosen === exchange) choose(exchanges.at(-1) ?? null);
}

/** Characters of a question that a list of tasks tells, on one line. */
const EXCERPT = 200;

/** Questions whose run has not ended: a list of tasks tells only the first words of one that was stopped. */
const wholes = () => memory.read("asked") ?? {};

function keepWhole(id, message) {
  if (message.length < EXCERPT && !/\s\s|\n/.test(message)) return;
  memory.write("asked", Object.fromEntries([...Object.entries(wholes()), [id, message]].slice(-20)));
}

const wholeOf = (id, excerpt) => wholes()[id] ?? excerpt;

/** Shows what somebody has asked meanwhile in this conversation, in another tab or elsewhere. */
function joinOthers(tasks) {
  if (byId("ask").hidden || !signal || signal.aborted || deliveries.size > 0) return;
  for (const { task_id, session_id, message, created_at, completed_at } of [...tasks].reverse()) {
    const isKnown = exchanges.some((one) => one.reading?.id === task_id);
    if (session_id !== session || completed_at || isKnown || isLoading) continue;
    const exchange = add(wholeOf(task_id, message), created_at);
    exchange.reading = new Reading(task_id);
    exchange.isOpen = true;
    quietly(followOpen());
  }
}

const deeds = {
  async stop(exchange) {
    exchange.say("Stopping…");
    try {
      exchange.reading.takeTask(await ask("DELETE", `/tasks/${encodeURIComponent(exchange.reading.id)}`, { repeatable: true }));
    } catch (error) {
      toast(words(error));
    }
    exchange.show();
  },
  leave(exchange) {
    watchTasks();
    location.hash = "#/ask/new";
    toast("It goes on in the background; see Tasks.");
  },
  again({ question }) {
    // What is as long as an excerpt may be no more than one.
    if (question.length >= EXCERPT && question.length <= EXCERPT + 1) suggest(question);
    else begin(question);
  },
  choose,
  drawn(exchange) {
    if (exchange === chosen) placeSources();
    const end = document.documentElement;
    const isNearEnd = end.scrollHeight - end.scrollTop - end.clientHeight < 240;
    if (exchange === exchanges.at(-1) && isNearEnd && !exchange.reading.isOver) end.scrollTop = end.scrollHeight;
  },
};

// --- Sources ---------------------------------------------------------------------------------------------------------

/** Shows the sources of this exchange. */
function choose(exchange) {
  if (exchange === chosen && exchange) return;
  if (chosen) chosen.sourcePlace.append(chosen.sourceList);
  chosen = exchange;
  placeSources();
}

/** Beside the answer where there is room, else under it. */
function placeSources() {
  const place = byId("source-list");
  const has = chosen?.reading?.sources.length > 0;
  if (wide.matches && has) {
    if (chosen.sourceList.parentNode !== place) place.replaceChildren(chosen.sourceList);
    return;
  }
  if (chosen) chosen.sourcePlace.append(chosen.sourceList);
  const none = chosen?.reading?.isOver ? "This answer rests on no passage." : "The passages that an answer rests on stand here.";
  place.replaceChildren(element("p", { class: "quiet" }, none));
}
