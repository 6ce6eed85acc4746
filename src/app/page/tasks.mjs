// The view of tasks: what runs, what waits, what has ended; and the figure in the navigation.

import { announce, button, byId, element, moment, redraw, toast } from "./dom.mjs";
import { Refused, ask, copyable, words } from "./api.mjs";
import { Exchange } from "./answer.mjs";
import { Reading, follow } from "./reading.mjs";

/** How often is looked while something runs, and while nothing does, in ms. */
const SOON = 2000;
const LATER = 15_000;

const NAMES = { pending: "waiting", running: "running", completed: "completed", failed: "failed", cancelled: "stopped" };

let timer = 0;
let looks = 0;
let open = new Map();
let limit = 50;
let isShown = false;

/** Opens the view. */
export function show(parts, query, signal) {
  const place = byId("tasks");
  document.title = "Tasks · oneloop";
  isShown = true;
  signal.addEventListener("abort", () => { isShown = false; });
  place.replaceChildren(
    element("div", { class: "row spread" }, element("h1", {}, "Tasks"), copyable("GET", "/tasks")),
    element("p", { class: "quiet" }, "Every question is a task, whoever has asked it. The server goes on with it when you leave this page."),
    element("div", { id: "task-table" }));
  limit = 50;
  watchTasks();
}

/** Looks now, and from then on as often as makes sense. A page that nobody sees asks nothing. */
export async function watchTasks() {
  clearTimeout(timer);
  if (document.hidden) return;
  const look = (looks += 1);
  let delay = LATER;
  try {
    const { tasks, next } = await ask("GET", `/tasks?limit=${isShown ? limit : 50}`, { quiet: true });
    // Another look that was begun later is nearer to the truth.
    if (look !== looks) return;
    const unfinished = tasks.filter((task) => !task.completed_at);
    tell(tasks);
    document.dispatchEvent(new CustomEvent("tasks", { detail: tasks }));
    const badge = byId("task-count");
    badge.hidden = unfinished.length === 0;
    badge.textContent = unfinished.length;
    badge.setAttribute("aria-label", `, ${unfinished.length} not ended`);
    if (isShown) draw(tasks, next);
    if (unfinished.length > 0) delay = SOON;
  } catch (error) {
    const place = byId("task-table");
    if (place && place.childElementCount === 0) place.replaceChildren(element("p", { class: "problem" }, words(error)));
  }
  if (look !== looks) return;
  timer = setTimeout(watchTasks, delay);
}

document.addEventListener("visibilitychange", () => watchTasks());

/** Says that a task has ended that ran when we looked last, and that nobody watches. */
function tell(tasks) {
  for (const { task_id, session_id, status, message } of tasks) {
    const isWatched = session_id && location.hash === `#/ask/${session_id}`;
    if (open.has(task_id) && status !== "pending" && status !== "running" && !isWatched) {
      toast(`${status === "completed" ? "Answered" : `The task ${status === "failed" ? "failed" : "was stopped"}`}: ${message.slice(0, 80)}`);
    }
  }
  open = new Map(tasks.filter((task) => !task.completed_at).map((task) => [task.task_id, task]));
}

function draw(tasks, next) {
  const place = byId("task-table");
  const drawn = JSON.stringify([tasks, next]);
  // Not drawn again for nothing: focus and selection stay where they are.
  if (!place || place.dataset.drawn === drawn) return;
  place.dataset.drawn = drawn;
  if (tasks.length === 0) return place.replaceChildren(element("p", {}, "Nothing was asked so far. ", element("a", { href: "#/ask" }, "Ask something.")));
  redraw(place,
    element("ul", { class: "plain tasks" }, tasks.map(row)),
    next ? button("Older", () => { limit = Math.min(limit + 200, 1000); watchTasks(); }, { class: "wide" }) : "");
}

function row({ task_id, status, message, session_id, created_at, completed_at }) {
  const seconds = completed_at ? (new Date(completed_at) - new Date(created_at)) / 1000 : null;
  const isOpen = !completed_at;
  return element("li", { class: "card task" },
    element("span", { class: `badge ${status}` }, NAMES[status] ?? status),
    element("a", { class: "name", href: session_id ? `#/ask/${session_id}` : `#/task/${task_id}` }, message || task_id),
    element("span", { class: "quiet" }, moment(created_at), seconds === null ? "" : `, took ${seconds < 0.1 ? "less than 0.1" : seconds.toFixed(1)} s`),
    isOpen
      ? button("Stop", () => stop(task_id), { "aria-label": `Stop: ${message}` })
      : copyable("GET", `/chat/task/${task_id}`));
}

/** `#/task/ID`: one that belongs to no conversation. */
export async function showOne([id = ""], query, signal) {
  // An address may come from anywhere, and what it names becomes a part of requests.
  if (!/^[0-9a-f-]{36}$/i.test(id)) throw new Refused(404, "There is no such task.");
  document.title = "Task · oneloop";
  const { tasks } = await ask("GET", "/tasks?limit=1000", { signal });
  const task = tasks.find((one) => one.task_id === id);
  const exchange = new Exchange(task?.message || id, task?.created_at, {
    stop: () => stop(id),
    leave: () => { location.hash = "#/tasks"; },
    again: ({ question }) => { location.hash = `#/ask/new?q=${encodeURIComponent(question)}`; },
    choose() {},
    drawn() {},
  });
  exchange.sourcePlace.append(exchange.sourceList);
  exchange.sourcePlace.classList.remove("narrow");
  exchange.reading = new Reading(id);
  byId("tasks").replaceChildren(element("h1", {}, "Task"), exchange.node);
  exchange.say("Looking…");
  await follow(exchange.reading, { signal, changed: () => exchange.show(), said: (text) => { exchange.line.textContent = text; } });
  exchange.show();
}

async function stop(id) {
  try {
    await ask("DELETE", `/tasks/${id}`);
    announce("Stopped.");
  } catch (error) {
    toast(words(error));
  }
  watchTasks();
}
