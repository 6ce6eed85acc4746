// Editing a note: with a preview beside it, and a choice when somebody else was faster.
//
// A save names the version that it replaces. If that is not there any more the server writes nothing and says so, and nothing
// is lost on this side either: what was typed is kept in the browser until it is saved or thrown away.

import { announce, button, byId, element, inAddress, memory, reachWide, toast } from "./dom.mjs";
import { Refused, asked, words } from "./api.mjs";
import { differences, merged } from "./difference.mjs";
import { linkFrom, linksOf, noteAddress } from "./links.mjs";
import { parse, render } from "./markdown.mjs";
import { readNote, treeChanged } from "./notes.mjs";

const place = byId("note");

/** `#/edit/PATH` */
export async function showEdit(parts, query, signal) {
  const path = parts.join("/");
  const note = await readNote(path, signal);
  if (!note.isText) throw new Refused(422, "This note is not UTF-8: edited here it would be damaged.");
  const { known } = await linksOf(path, signal).catch(() => ({ known: new Map() }));
  if (signal.aborted) return;
  new Editor(path, note, known, signal).open();
}

/** `#/new-note?path=` */
export function showNew(parts, query, signal) {
  const path = query.get("path") ?? "";
  const name = path.replace(/^.*\/|\.(md|markdown)$/gi, "");
  new Editor(path, { text: name ? `# ${name}\n\n` : "", etag: null }, new Map(), signal).open();
}

/** One note while it is edited. `etag` is null for one that is not there yet. */
class Editor {
  constructor(path, { text, etag }, known, signal) {
    // A text box has line feeds alone; what the file has is put back when it is saved.
    this.lineEnd = text.includes("\r\n") ? "\r\n" : "\n";
    Object.assign(this, { path, text: text.replaceAll("\r\n", "\n"), etag, known, signal });
    this.isNew = etag === null;
    this.key = `${this.isNew ? "draft-of-new" : "draft-of"}.${path}`;
    this.area = element("textarea", { id: "editor", spellcheck: "true", oninput: () => this.#typed() });
    this.preview = element("div", { class: "answer text note", tabindex: "0", role: "region", "aria-label": "Preview" });
    this.state = element("p", { class: "quiet", role: "status" });
    this.conflict = element("div", {});
    this.pathField = element("input", { id: "new-path", required: true, placeholder: "garden/compost.md", value: path, spellcheck: "false" });
  }

  open() {
    const title = this.isNew ? "New note" : `Edit ${this.path}`;
    document.title = `${title} · oneloop`;
    const draft = memory.read(this.key);
    this.area.value = draft?.text ?? this.text;
    if (draft?.path && this.isNew && !this.path) this.pathField.value = draft.path;
    if (draft && draft.text !== this.text) {
      // What it was begun from counts: if that was changed meanwhile, saving says so.
      this.etag = draft.etag;
      this.state.append("These are your words from before; they were not saved. ", button("Throw them away", () => this.#discard()));
    }
    const form = element("form", { class: "editor", onsubmit: (event) => { event.preventDefault(); this.#save(); } },
      this.isNew ? element("p", {}, element("label", { for: "new-path" }, "Path, with .md at its end "), this.pathField) : "",
      element("div", { class: "row" },
        element("button", { type: "submit", class: "primary" }, "Save"),
        element("a", { class: "button", href: this.isNew ? "#/notes" : noteAddress(this.path) }, "Close"),
        element("span", { class: "quiet hint" }, "Ctrl+S saves")),
      this.state, this.conflict,
      element("div", { class: "panes" },
        element("div", {}, element("label", { for: "editor" }, "Markdown"), this.area),
        element("div", {}, element("p", { class: "label", "aria-hidden": "true" }, "Preview"), this.preview)));
    form.addEventListener("keydown", (event) => {
      if (!(event.ctrlKey || event.metaKey) || event.key !== "s") return;
      event.preventDefault();
      form.requestSubmit();
    });
    place.replaceChildren(element("h1", {}, title), form);
    this.#draw();
    this.area.setSelectionRange(0, 0);
    (this.isNew && !this.path ? this.pathField : this.area).focus();
  }

  #typed() {
    const draft = { text: this.area.value, etag: this.etag, path: this.pathField.value };
    memory.write(this.key, this.area.value === this.text ? null : draft);
    clearTimeout(this.timer);
    // A long note is drawn less often: whoever types must not wait for it.
    this.timer = setTimeout(() => this.#draw(), 80 + 4 * (this.cost ?? 0));
  }

  #draw() {
    const begun = performance.now();
    this.preview.replaceChildren(render(parse(this.area.value), { link: linkFrom([this.path], this.known), document, headingBase: 1 }));
    reachWide();
    this.cost = performance.now() - begun;
  }

  #discard() {
    memory.write(this.key, null);
    location.hash = this.isNew ? "#/notes" : noteAddress(this.path);
  }

  /** `expected` is the version that may be replaced: null for none at all. */
  async #save(expected = this.etag) {
    if (this.isSaving) return;
    this.isSaving = true;
    const text = this.area.value;
    const path = this.isNew ? this.pathField.value.trim() : this.path;
    const headers = { "Content-Type": "text/markdown; charset=utf-8", ...(expected === null ? { "If-None-Match": "*" } : { "If-Match": expected }) };
    this.#say("Saving…");
    try {
      const body = text.replaceAll("\n", this.lineEnd);
      const saved = await (await asked("PUT", `/notes/file/${inAddress(path)}`, { body, headers, repeatable: true })).json();
      this.#saved(path, text, saved.etag);
    } catch (error) {
      if (this.signal.aborted) toast(`Not saved: ${path}. Your words are kept; edit it again.`);
      else if (error instanceof Refused && error.status === 412) await this.#collided(path, text);
      else this.#say(`Not saved. ${words(error)}`);
    } finally {
      this.isSaving = false;
    }
  }

  #say(text) {
    this.state.textContent = text;
  }

  #saved(path, text, etag) {
    memory.write(this.key, null);
    Object.assign(this, { path, text, etag, isNew: false, key: `draft-of.${path}` });
    toast("Saved");
    treeChanged();
    if (this.area.value !== text) {
      this.#typed();
      this.#say("Saved; what you have typed since is not.");
    } else if (!this.signal.aborted) {
      location.hash = noteAddress(path);
    }
  }

  /** Somebody else has written: shows both, and asks what shall count. */
  async #collided(path, mine) {
    this.#say("Not saved: the note was changed meanwhile.");
    let theirs = null;
    try {
      theirs = await readNote(path, this.signal);
      theirs.text = theirs.text.replaceAll("\r\n", "\n");
    } catch (error) {
      if (error.status !== 404) return this.#say(`Not saved: the note was changed meanwhile. ${words(error)}`);
    }
    // Our own write came through, and only its answer was lost.
    if (theirs?.text === mine) return this.#saved(path, mine, theirs.etag);
    const choice = (label, deed, title) => button(label, () => { this.conflict.replaceChildren(); deed(); }, { title });
    const keep = choice("Keep mine", () => this.#save(theirs?.etag ?? null), "Replaces what is there now");
    const heading = this.isNew ? "There is such a note already" : theirs ? "Somebody else has changed this note" : "Somebody else has removed this note";
    const others = theirs === null ? [] : [
      choice("Take theirs", () => this.#replace(path, theirs, theirs.text), "Lets go of your words"),
      choice("Put both into the editor", () => this.#replace(path, theirs, merged(mine, theirs.text)), "You put them together, and save"),
    ];
    this.conflict.replaceChildren(element("section", { class: "card conflict", "aria-labelledby": "conflict-title" },
      element("h2", { id: "conflict-title" }, heading),
      element("p", {}, "Nothing was written. What shall count?"),
      element("div", { class: "row" }, keep, others),
      theirs && element("div", { class: "difference", tabindex: "0", role: "region", "aria-label": "Difference" }, shown(mine, theirs.text))));
    announce(`${heading}. Nothing was written. What shall count?`);
    keep.focus();
  }

  #replace(path, { text, etag }, value) {
    memory.write(this.key, null);
    Object.assign(this, { path, text, etag, isNew: false, key: `draft-of.${path}` });
    this.area.value = value;
    this.#typed();
    this.state.textContent = value === text ? "This is their text." : "Both are here, with marks between them.";
    this.area.focus();
  }
}

const MARKS = { same: " ", mine: "+", theirs: "−" };
const SPOKEN = { mine: "mine: ", theirs: "theirs: " };

const shown = (mine, theirs) => differences(mine, theirs).flatMap(({ whose, lines }) => {
  // Of a long part that is the same, its ends say where one is.
  const cut = whose === "same" && lines.length > 7 ? [...lines.slice(0, 3), "…", ...lines.slice(-3)] : lines;
  return cut.map((line) => element("div", { class: whose },
    element("span", { "aria-hidden": "true" }, MARKS[whose], " "), element("span", { class: "hidden" }, SPOKEN[whose] ?? ""), line || " "));
});
