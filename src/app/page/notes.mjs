// The view of notes: all of them by category, a search as one types, and one note as it reads.

import { announce, button, byId, confirmed, counted, element, inAddress, quietly, reachWide, toast } from "./dom.mjs";
import { Unreached, ask, asked, copyable, words } from "./api.mjs";
import { changeCard } from "./answer.mjs";
import { linkFrom, linksOf, lookUp, noteAddress, passageAddress } from "./links.mjs";
import { parse, plainText, render, slugOf } from "./markdown.mjs";

/** Notes of a category that are shown at once. */
const PAGE = 200;

/** Tasks that are looked at for what the agent has written. */
const TASKS_LOOKED_AT = 200;

const place = byId("note");

/** What was searched for when the results that stand there were found. */
let found = "";

/** Sets up what stays. */
export function start() {
  byId("search").addEventListener("input", () => search(byId("search").value.trim()));
  byId("search").addEventListener("keydown", (event) => {
    // What stands there may be the answer to a question before.
    if (event.key === "Enter" && found === byId("search").value.trim()) byId("search-results").querySelector("a")?.click();
  });
}

/** `#/notes`: all of them, and what one can do. */
export async function showNotes(parts, query, signal) {
  document.title = "Notes · oneloop";
  const wanted = query.get("search");
  if (wanted) {
    byId("search").value = wanted;
    search(wanted);
  }
  quietly(drawTree(null, signal));
  const [{ notes }, { index }] = await Promise.all([ask("GET", "/config/notes", { signal }), ask("GET", "/info", { signal })]);
  if (signal.aborted) return;
  place.replaceChildren(
    element("h1", {}, "Notes"),
    element("p", {}, `${counted(notes, "note")}, as they stand in the folder. What you save here is saved there.`),
    index.state === "ready" ? "" : element("p", { class: "warning" }, `They are being read: ${index.done} of ${index.notes} so far.`),
    element("p", { class: "quiet" }, "Choose one at the side, or search: Ctrl+K leads there from everywhere."),
    element("div", { class: "row" }, copyable("GET", "/notes")));
}

// --- The tree --------------------------------------------------------------------------------------------------------

let drawnTree = "";

/** The notes were changed from here: what is drawn of them is not to be believed. */
export const treeChanged = () => { drawnTree = ""; };

async function drawTree(current, signal) {
  const { categories } = await ask("GET", "/knowledge/categories", { signal });
  const tree = byId("tree");
  // On a small screen there is room for the tree or for a note.
  byId("notes").classList.toggle("reading", current !== null);
  const told = JSON.stringify(categories);
  if (told !== drawnTree) {
    drawnTree = told;
    const open = [...tree.querySelectorAll("details[open]")].map((details) => details.dataset.category);
    tree.replaceChildren(...categories.map(({ name, count }) => branch(name, count, categories.length === 1 || open.includes(name))));
    if (categories.length === 0) tree.replaceChildren(element("p", { class: "quiet" }, "There is no note yet."));
  }
  for (const link of tree.querySelectorAll("a[aria-current]")) link.removeAttribute("aria-current");
  if (current === null) return;
  // A category is what a note says of itself, or its first folder.
  const folder = current.includes("/") ? current.split("/")[0] : "";
  for (const details of tree.querySelectorAll("details")) if (details.dataset.category === folder) details.open = true;
  for (const link of tree.querySelectorAll("a")) if (link.getAttribute("href") === noteAddress(current)) link.setAttribute("aria-current", "page");
}

function branch(name, count, isOpen) {
  const list = element("ul", { class: "plain list" });
  const more = button("More", () => fill(), { class: "wide", hidden: true });
  const details = element("details", { class: "folding", data: { category: name }, open: isOpen },
    element("summary", {}, name || "At the top", element("span", { class: "quiet" }, ` ${count}`)), list, more);
  let [after, filling] = [null, null];
  const fill = () => (filling ??= fillOnce().catch((error) => toast(words(error))).finally(() => { filling = null; }));
  async function fillOnce() {
    const behind = after === null ? "" : `&after=${encodeURIComponent(after)}`;
    const { notes, next } = await ask("GET", `/notes?category=${encodeURIComponent(name)}&limit=${PAGE}${behind}`);
    const current = location.hash.split("?")[0];
    list.append(...notes.map(({ path, title }) => {
      const href = noteAddress(path);
      return element("li", {}, element("a", { href, title: path, "aria-current": href === current && "page" }, title));
    }));
    after = next;
    more.hidden = next === null;
  }
  details.addEventListener("toggle", () => {
    if (details.open && list.childElementCount === 0) fill();
  });
  return details;
}

// --- Search ----------------------------------------------------------------------------------------------------------

let searching = new AbortController();

async function search(text) {
  searching.abort();
  searching = new AbortController();
  const { signal } = searching;
  const results = byId("search-results");
  results.hidden = text === "";
  byId("tree").hidden = text !== "";
  byId("search-state").textContent = "";
  if (text === "") return;
  // A moment's rest between letters: not each of them is a question.
  await new Promise((resolve) => setTimeout(resolve, 120));
  if (signal.aborted) return;
  const query = encodeURIComponent(text);
  try {
    const [passages, lines] = await Promise.all([
      ask("GET", `/knowledge/search?limit=12&query=${query}`, { signal }),
      ask("GET", `/knowledge/search/content?limit=20&query=${query}`, { signal }),
    ]);
    const groups = [
      ...group("Passages", passages.results.map((passage) => hit(passageAddress(passage), passage.heading || passage.title, passage.text, passage.path))),
      ...group("Lines with these letters", lines.results.map((line) => hit(noteAddress(line.path, `line=${line.line}`), line.title, line.text, line.path))),
    ];
    results.replaceChildren(...groups);
    found = text;
    const both = `${counted(passages.results.length, "passage")}, ${counted(lines.results.length, "line")}${lines.truncated ? " and more" : ""}`;
    byId("search-state").textContent = groups.length === 0 ? "Nothing was found." : both;
  } catch (error) {
    if (!signal.aborted) byId("search-state").textContent = words(error);
  }
}

const group = (title, hits) => (hits.length === 0 ? [] : [element("h3", {}, title), element("ul", { class: "plain list" }, hits)]);

const hit = (href, title, text, path) => element("li", {},
  element("a", { href }, title), element("div", { class: "quiet excerpt", title: path }, text.slice(0, 160)));

// --- One note --------------------------------------------------------------------------------------------------------

/** `#/note/PATH`: with a passage (`start`, `end`, `hash`), a line or a heading to look at. */
export async function showNote(parts, query, signal) {
  const path = parts.join("/");
  quietly(drawTree(path, signal));
  let note;
  try {
    note = await readNote(path, signal);
  } catch (error) {
    if (error.status !== 404) throw error;
    return showMissing(path, path, signal);
  }
  const links = await linksOf(path, signal).catch(() => ({ title: path, known: new Map(), links: [], linked_from: [], isNew: true }));
  if (signal.aborted) return;
  const tree = parse(note.text);
  const [first] = tree.blocks;
  const hasTitle = first?.type === "heading" && first.level === 1;
  const name = links.isNew && hasTitle ? plainText(first) : links.title;
  document.title = `${name} · oneloop`;
  const rendered = (headingBase) => element("div", { class: "answer text note" },
    render(tree, { link: linkFrom([path], links.known), document, headingBase }));
  let body = rendered(0);
  // A view has one heading above all others: a note that has several of these has them below its name.
  const isTitled = hasTitle && body.querySelectorAll("h1").length === 1;
  if (!isTitled) body = rendered(1);
  place.replaceChildren(
    element("p", { class: "quiet path" }, path),
    isTitled ? "" : element("h1", {}, name),
    element("div", { class: "row" },
      element("a", { class: "button", href: `#/edit/${inAddress(path)}` }, "Edit"),
      element("a", { class: "button", href: `#/graph/${inAddress(path)}` }, "Graph"),
      button("Delete", () => remove(path, name, note.etag, signal), { class: "danger" }),
      copyable("GET", `/notes/file/${inAddress(path)}`)),
    body,
    element("aside", { class: "backlinks", "aria-labelledby": "backlinks-title" },
      element("h2", { id: "backlinks-title" }, "Linked from"),
      links.linked_from.length === 0
        ? element("p", { class: "quiet" }, "No note links here.")
        : element("ul", { class: "plain list" }, links.linked_from.map((from) => element("li", {}, element("a", { href: noteAddress(from.path) }, from.title))))));
  reachWide();
  await lookAt(body, note, path, query, signal);
}

/** A note's text and its version. */
export async function readNote(path, signal) {
  const response = await asked("GET", `/notes/file/${inAddress(path)}`, { signal });
  const bytes = await response.arrayBuffer().catch((error) => { throw signal?.aborted ? error : new Unreached(error.message); });
  const decoded = (fatal) => new TextDecoder("utf-8", { fatal, ignoreBOM: true }).decode(bytes);
  const etag = response.headers.get("ETag");
  try {
    return { text: decoded(true), isText: true, etag };
  } catch {
    return { text: decoded(false), isText: false, etag };
  }
}

async function remove(path, name, etag, signal) {
  if (!await confirmed(`Delete “${name}”? The file ${path} is removed from the folder.`, "Delete")) return;
  try {
    await asked("DELETE", `/notes/file/${inAddress(path)}`, { headers: { "If-Match": etag } });
    toast(`Deleted: ${name}`);
    treeChanged();
    if (!signal.aborted) location.hash = "#/notes";
  } catch (error) {
    toast(words(error));
  }
}

// --- A place in a note -----------------------------------------------------------------------------------------------

async function lookAt(body, { text, etag }, path, query, signal) {
  CSS.highlights?.clear();
  if (query.has("heading")) {
    const wanted = slugOf(query.get("heading").split("#").pop());
    const headings = [...body.querySelectorAll("h1, h2, h3, h4, h5, h6")];
    headings.find((heading) => slugOf(heading.textContent) === wanted)?.scrollIntoView();
  }
  if (query.has("line")) {
    const from = text.split("\n").slice(0, query.get("line") - 1).join("\n").length;
    const end = text.indexOf("\n", from + 1);
    highlight(body, text, from, end < 0 ? text.length : end);
  }
  if (!query.has("start")) return;
  let [start, end] = [Number(query.get("start")), Number(query.get("end"))];
  if (query.get("hash") && etag !== `"${query.get("hash")}"`) {
    const notice = element("p", { class: "warning", role: "status" }, "This note was changed since it was quoted.");
    body.before(notice);
    const text = query.get("text");
    const source = { path, start, end, hash: query.get("hash"), ...(text ? { text } : {}) };
    const [{ state, ...now }] = (await ask("POST", "/verify", { json: { sources: [source] }, signal })).sources;
    if (state === "moved") [start, end] = [now.start, now.end];
    notice.append(state === "stands" || state === "moved" ? " The passage still stands in it." : " The passage does not stand in it any more.");
    if (state !== "stands" && state !== "moved") return;
  }
  // The server counts bytes and we count characters.
  const bytes = new TextEncoder().encode(text);
  const before = (offset) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(0, offset)).length;
  highlight(body, text, before(start), before(end));
}

/** Marks the blocks that a part of the text became, in them the very words, and brings them into sight. */
function highlight(body, text, from, to) {
  const meets = (block) => Number(block.dataset.from) < to && Number(block.dataset.to) > from;
  const met = [...body.querySelectorAll("[data-from]")].filter(meets);
  const deepest = met.filter((block) => !met.some((other) => other !== block && block.contains(other)));
  deepest.forEach((block) => block.classList.add("passage"));
  if (deepest.length === 0) return;
  const wanted = plainText(parse(text.slice(from, to))).trim();
  const range = deepest.length === 1 && rangeOf(deepest[0], wanted);
  if (range && CSS.highlights) CSS.highlights.set("passage", new Highlight(range));
  deepest[0].tabIndex = -1;
  deepest[0].focus({ preventScroll: true });
  deepest[0].scrollIntoView({ block: "center" });
  announce(`The passage: ${wanted.slice(0, 200)}`);
}

/** Where these words stand in an element, however they are marked up. */
function rangeOf(block, wanted) {
  const squeezed = (text) => text.replace(/\s+/g, " ");
  const texts = [];
  for (const walker = document.createTreeWalker(block, NodeFilter.SHOW_TEXT); walker.nextNode();) texts.push(walker.currentNode);
  const places = texts.flatMap((node) => Array.from({ length: node.length }, (_, at) => [node, at]));
  // One character of the block for each place: runs of white space are one, and their others have no place.
  let whole = "";
  const kept = places.filter(([node, at]) => {
    const letter = node.data[at].replace(/\s/, " ");
    if (letter === " " && whole.endsWith(" ")) return false;
    whole += letter;
    return true;
  });
  const found = whole.indexOf(squeezed(wanted));
  if (found < 0 || wanted === "") return null;
  const [first, last] = [kept[found], kept[found + squeezed(wanted).length - 1]];
  const range = document.createRange();
  range.setStart(...first);
  range.setEnd(last[0], last[1] + 1);
  return range;
}

// --- Links and changes -----------------------------------------------------------------------------------------------

/** `#/link/KIND/TARGET`: finds out what a link means, and goes there. */
export async function showLink([kind, ...rest], query, signal) {
  const target = rest.join("/");
  const path = await lookUp(kind, target, query.getAll("from"), signal);
  if (signal.aborted) return;
  if (path === null) return showMissing(target, /\.(md|markdown)$/i.test(target) ? target : `${target}.md`, signal);
  const heading = query.get("heading");
  location.replace(noteAddress(path, heading ? `heading=${encodeURIComponent(heading)}` : ""));
}

function showMissing(name, path, signal) {
  if (signal.aborted) return;
  quietly(drawTree(null, signal));
  document.title = "No such note · oneloop";
  place.replaceChildren(
    element("h1", {}, "No such note"),
    element("p", {}, `There is no note “${name}”.`),
    element("div", { class: "row" },
      element("a", { class: "button", href: `#/new-note?path=${encodeURIComponent(path)}` }, "Write it"),
      element("a", { class: "button", href: `#/notes?search=${encodeURIComponent(name)}` }, "Search for it")));
}

/** Answers that were looked at for what was written; they don't change any more. */
const lookedAt = new Map();

/** `#/changes`: what the agent has written, with the way back. */
export async function showChanges(parts, query, signal) {
  quietly(drawTree(null, signal));
  document.title = "What the agent wrote · oneloop";
  const list = element("div", {});
  const state = element("p", { class: "quiet", role: "status" }, "Looking…");
  place.replaceChildren(element("h1", {}, "What the agent wrote"),
    element("p", {}, "Each of these can be taken back as long as nobody has changed it since, and its task is kept."), state, list);
  const { tasks } = await ask("GET", `/tasks?limit=${TASKS_LOOKED_AT}`, { signal });
  let count = 0;
  for (const { task_id, status, completed_at } of tasks) {
    if (status !== "completed") continue;
    if (!lookedAt.has(task_id)) {
      const task = await ask("GET", `/chat/task/${task_id}`, { signal, quiet: true }).catch((error) => {
        if (error.status !== 404 && error.status !== 410) throw error;
      });
      lookedAt.set(task_id, task?.result?.knowledge_updates ?? []);
    }
    if (signal.aborted) return;
    const updates = lookedAt.get(task_id);
    list.append(...updates.map((update) => changeCard(update, completed_at)));
    count += updates.length;
  }
  state.textContent = count === 0 ? "It has written nothing in the last tasks." : `${counted(count, "change")} in the last tasks.`;
}
