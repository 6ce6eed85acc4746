// The first module: which view is shown, and what is the same in all of them.
//
// An address such as `#/note/garden/compost.md?start=7` names a view, its parts and its parameters. So every view has an
// address that can be kept, shared and gone back to, and the server needs to know none of them.

import { button, byId, copy, element, memory, reachWide } from "./dom.mjs";
import { Refused, Unreached, requests, words } from "./api.mjs";
import * as ask from "./ask.mjs";
import * as tasks from "./tasks.mjs";
import * as notes from "./notes.mjs";
import * as edit from "./edit.mjs";
import * as graph from "./graph.mjs";
import * as status from "./status.mjs";

/** By the first part of an address: the section that is shown, and what fills it. */
const VIEWS = {
  ask: ["ask", ask.show],
  notes: ["notes", notes.showNotes],
  note: ["notes", notes.showNote],
  link: ["notes", notes.showLink],
  changes: ["notes", notes.showChanges],
  edit: ["notes", edit.showEdit],
  "new-note": ["notes", edit.showNew],
  graph: ["graph", graph.show],
  tasks: ["tasks", tasks.show],
  task: ["tasks", tasks.showOne],
  status: ["status", status.show],
};

let leaving = new AbortController();
let isFirst = true;

async function route() {
  const [path, query = ""] = location.hash.slice(2).split("?");
  const [name, ...parts] = path.split("/").map(decoded);
  const [section, show] = Object.hasOwn(VIEWS, name) ? VIEWS[name] : VIEWS.ask;
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  for (const view of document.querySelectorAll(".view")) view.hidden = view.id !== section;
  for (const link of document.querySelectorAll(".top nav a")) {
    if (link.getAttribute("href") === `#/${section}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (!isFirst) {
    // Who follows a link with the keyboard or hears the page goes on from the top of what is new.
    byId("content").focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  isFirst = false;
  for (const old of document.querySelectorAll(".complaint")) old.remove();
  try {
    await show(parts, new URLSearchParams(query), signal);
  } catch (error) {
    if (!signal.aborted) complain(section, error);
  }
}

function decoded(part) {
  try { return decodeURIComponent(part); } catch { return part; }
}

function complain(section, error) {
  const isOurs = !(error instanceof Refused || error instanceof Unreached);
  if (isOurs) console.error(error);
  const text = isOurs ? `This page has a mistake: ${error.message}` : words(error);
  const problem = element("p", { class: "problem complaint", role: "alert" }, text, " ", button("Try again", () => {
    problem.remove();
    route();
  }));
  const place = byId(section).querySelector(".middle") ?? byId(section);
  // These are put together anew each time: nothing is left of what stood there before. In others, what is known stays.
  if (["notes", "tasks"].includes(section)) place.replaceChildren(element("h1", {}, "That did not work"), problem);
  else place.prepend(problem);
}

/** System, light, dark, and round again. */
const THEMES = ["system", "light", "dark"];

function wear(theme) {
  document.documentElement.style.colorScheme = theme === "system" ? "light dark" : theme;
  byId("theme").textContent = `Theme: ${theme}`;
  document.dispatchEvent(new Event("themechange"));
}

let theme = THEMES.includes(memory.read("theme")) ? memory.read("theme") : "system";
wear(theme);
byId("theme").addEventListener("click", () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  memory.write("theme", theme);
  wear(theme);
});

byId("show-requests").addEventListener("click", () => {
  byId("request-list").replaceChildren(...requests.map(({ method, path, status: answer, ms, curl }) => element("li", { class: "request" },
    element("code", {}, `${method} ${path}`),
    element("span", { class: "quiet" }, `${answer}${ms === null ? "" : `, ${ms} ms`}`),
    button("Copy as curl", () => copy(curl), { "aria-label": `Copy as curl: ${method} ${path}` }))));
  byId("requests").showModal();
});

// A place within what is shown, such as a footnote: the address of the view stays.
document.addEventListener("click", (event) => {
  const address = event.target.closest?.("a")?.getAttribute("href");
  if (!address?.startsWith("#") || address.startsWith("#/")) return;
  event.preventDefault();
  const target = document.getElementById(address.slice(1));
  if (target && target.tabIndex < 0) target.tabIndex = -1;
  target?.focus();
  target?.scrollIntoView();
});

document.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.key !== "k") return;
  event.preventDefault();
  if (byId("notes").hidden) location.hash = "#/notes";
  // Behind the change of the address, which moves the focus too.
  setTimeout(() => byId("search").focus());
});

ask.start();
notes.start();
addEventListener("hashchange", route);
addEventListener("resize", reachWide);
route();
tasks.watchTasks();
