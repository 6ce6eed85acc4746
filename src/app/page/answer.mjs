// One question and its answer, as they are shown: while the answer is being written, and once it is there.

import { button, copy, counted, element, moment, reachWide, redraw, toast } from "./dom.mjs";
import { ask, curl, words } from "./api.mjs";
import { linkFrom, noteAddress, passageAddress } from "./links.mjs";
import { parse, render } from "./markdown.mjs";

/** A question, its answer, and what can be done with both. */
export class Exchange {
  #rendered = 0;
  #cost = 0;

  /** `deeds` are called with this exchange: `stop`, `leave` and `again` by its buttons, `choose` when somebody looks
   * at it, `drawn` behind every drawing. */
  constructor(question, askedAt, deeds) {
    this.question = question;
    this.deeds = deeds;
    /** The run, once there is one. */
    this.reading = null;
    this.body = element("div", { class: "answer text" });
    this.state = element("p", { class: "state quiet" });
    this.line = element("p", { class: "state quiet" });
    this.thought = folded("What the model thought", element("p", { class: "reasoning" }));
    this.thought.hidden = true;
    this.about = element("div", { class: "about" });
    this.actions = element("div", { class: "row actions" });
    this.sourceList = element("ol", { class: "plain sources" });
    this.sourcePlace = element("details", { class: "folding narrow", hidden: true }, element("summary", {}, "Sources"));
    this.node = element("article", { class: "exchange", "aria-label": `Question: ${question.slice(0, 80)}` },
      element("div", { class: "question" }, element("h2", {}, question), askedAt && moment(askedAt)),
      this.thought, this.body, this.state, this.line, this.sourcePlace, this.about, this.actions);
    this.node.addEventListener("pointerenter", () => deeds.choose(this));
    this.node.addEventListener("focusin", () => deeds.choose(this));
  }

  /** Says what is going on before there is a run. */
  say(text, isProblem = false) {
    this.state.textContent = text;
    this.state.classList.toggle("problem", isProblem);
  }

  /** Shows what is known of the run now. Of a long answer not at every token: drawing must not take all of the time. */
  show() {
    if (this.reading.isOver) return this.#draw();
    if (this.#rendered) return;
    this.#rendered = setTimeout(() => requestAnimationFrame(() => {
      this.#rendered = 0;
      this.#draw();
    }), this.#cost * 4);
  }

  #draw() {
    const { reading } = this;
    const begun = performance.now();
    const sources = reading.sources;
    const tree = parse(reading.text, { citations: true });
    const citation = (number) => sources[number - 1]
      && { href: passageAddress(sources[number - 1]), className: "citation", title: `Source ${number}: ${sources[number - 1].title}` };
    const from = [...new Set(sources.map((source) => source.path))].slice(0, 8);
    redraw(this.body, render(tree, { link: linkFrom(from), citation, document, headingBase: 2, idPrefix: `${reading.id}-` }));
    this.node.setAttribute("aria-busy", String(!reading.isOver));
    this.#drawState();
    this.#drawSources();
    this.#drawAbout();
    this.#drawActions();
    this.#cost = performance.now() - begun;
    this.deeds.drawn(this);
    if (reading.isOver) reachWide();
  }

  #drawState() {
    const { isOver, status, place, detail, notice, error, text } = this.reading;
    const waiting = place ? `Waiting; ${counted(place, "question")} before it.` : "Waiting for its turn.";
    const ended = { failed: `It failed: ${error ?? "no reason was given"}`, cancelled: "Stopped." };
    const told = isOver ? ended[status] ?? "" : status === "pending" ? waiting : detail;
    this.say([told, isOver && text ? "" : notice].filter(Boolean).join(" "), isOver && status === "failed");
    this.state.classList.toggle("working", !isOver);
  }

  #drawSources() {
    const { sources } = this.reading;
    if (this.shown === sources) return;
    this.shown = sources;
    this.sourceList.replaceChildren(...sources.map((source, at) => element("li", {},
      element("a", { href: passageAddress(source) },
        element("span", { class: "number" }, `${at + 1}`), source.heading || source.title),
      element("div", { class: "path quiet" }, source.path),
      element("blockquote", { class: "text" }, render(parse(source.text), { link: linkFrom([source.path]), document, headingBase: 2, idPrefix: `${this.reading.id}-${at}-` })))));
    this.sourcePlace.hidden = sources.length === 0;
    this.sourcePlace.firstChild.textContent = `Sources (${sources.length})`;
  }

  #drawAbout() {
    const { response, reasoning, updates, isOver } = this.reading;
    this.thought.hidden = reasoning === "";
    if (this.thought.lastChild.textContent !== reasoning) this.thought.lastChild.textContent = reasoning;
    const parts = updates.map((update) => changeCard(update));
    if (response && isOver) {
      const { answered_by, model, cached, degraded, unsupported, quotes, suggested_actions } = response;
      const by = answered_by === "model" ? `Answered by ${model ?? "the model"}${cached ? ", from memory" : ""}.` : "Answered from the notes.";
      parts.push(element("p", { class: "quiet by" }, by));
      if (degraded.length > 0) parts.push(element("p", { class: "warning" }, degraded.join(" ")));
      if (unsupported.length > 0) {
        parts.push(folded(`${counted(unsupported.length, "sentence")} that the sources do not support`,
          element("ul", {}, unsupported.map(({ text }) => element("li", {}, text)))));
      }
      const wrong = quotes.filter((quote) => !quote.verified);
      if (wrong.length > 0) {
        parts.push(folded(`${counted(wrong.length, "quote")} that no source has`,
          element("ul", {}, wrong.map(({ text }) => element("li", {}, text)))));
      }
      if (suggested_actions.length > 0) {
        parts.push(element("ul", { class: "quiet suggestions" }, suggested_actions.map((text) => element("li", {}, text))));
      }
    }
    // Drawn only when there is something new: what somebody has opened stays open.
    const known = JSON.stringify([response?.run_id, updates.length, isOver]);
    if (known !== this.known) this.about.replaceChildren(...parts);
    this.known = known;
  }

  #drawActions() {
    const { isOver, text, id } = this.reading;
    if (this.isDrawnAsOver === isOver) return;
    this.isDrawnAsOver = isOver;
    const hadFocus = this.actions.contains(document.activeElement);
    this.actions.replaceChildren(...(isOver
      ? [
        button("Ask again", () => this.deeds.again(this)),
        text && button("Copy answer", () => copy(this.reading.text)),
        button("Copy as curl", () => copy(curl("GET", `/chat/task/${id}`)), { title: "As a request for this answer" }),
      ].filter(Boolean)
      : [
        button("Stop", () => this.deeds.stop(this)),
        button("Send to background", () => this.deeds.leave(this), { title: "It goes on, and stands under Tasks" }),
      ]));
    if (hadFocus) this.actions.querySelector("button").focus();
  }
}

const folded = (title, ...content) => element("details", { class: "folding" }, element("summary", {}, title), ...content);

const DEEDS = { created: "Made a note", appended: "Added to", linked: "Linked" };

/** What the agent has written, with the way back. */
export function changeCard({ id, action, path, title }, at = null) {
  const undo = button("Undo", async () => {
    undo.disabled = true;
    try {
      await ask("POST", "/notes/undo", { json: { id } });
      card.classList.add("undone");
      undo.replaceWith(element("span", { class: "quiet" }, "Taken back."));
      toast(`Taken back: ${title}`);
    } catch (error) {
      undo.disabled = false;
      problem.textContent = words(error);
      problem.hidden = false;
    }
  }, { "aria-label": `Undo: ${DEEDS[action] ?? action} ${title}` });
  const problem = element("p", { class: "problem", role: "alert", hidden: true });
  const card = element("div", { class: "card change" },
    element("p", {}, `${DEEDS[action] ?? action}: `, element("a", { href: noteAddress(path) }, title),
      " ", element("span", { class: "quiet path" }, path)),
    element("div", { class: "row" }, at && moment(at), undo), problem);
  return card;
}
