// Small words for the DOM. Whatever is shown goes through here as text or as an element that we made: never as markup.

/** The element with this id. It stands in index.html, so it is there. */
export const byId = (id) => document.getElementById(id);

/**
 * Makes an element: `element("a", { href: "#/notes", class: "button" }, "Notes")`.
 *
 * `on…` are listeners, `data` are data attributes; true sets an attribute without a value, and false, null and undefined
 * set none. Children are nodes, or text.
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "data") Object.assign(made.dataset, value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** A button. */
export const button = (label, onclick, attributes = {}) =>
  element("button", { type: "button", onclick, ...attributes }, label);

/**
 * Tells those who don't see the page what has happened. The live region is changed a moment later and only by the last of
 * several texts: it says what is new, and does not chatter.
 */
export function announce(text) {
  clearTimeout(announce.timer);
  announce.timer = setTimeout(() => { byId("announcer").textContent = text; }, 150);
}

/** Says something for a moment, to eyes and to ears. */
export function toast(text) {
  const place = byId("toast");
  place.textContent = text;
  place.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { place.hidden = true; }, 5000);
  announce(text);
}

/** Asks before something is done that can't be taken back. */
export function confirmed(text, yes) {
  const dialog = byId("question-dialog");
  byId("dialog-text").textContent = text;
  byId("dialog-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  byId("dialog-no").focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** Puts text on the clipboard, also on a page that came over plain HTTP from another machine, where browsers forbid it. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = element("textarea", { class: "hidden", "aria-hidden": "true" });
    area.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  toast("Copied");
}

/** A moment, as long ago. */
export function ago(text) {
  const seconds = (Date.now() - new Date(text)) / 1000;
  for (const [unit, length] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    const count = Math.floor(seconds / length);
    if (count >= 1) return `${count} ${unit}${count === 1 ? "" : "s"} ago`;
  }
  return "just now";
}

/** A moment as an element: as long ago, and on which day. */
export const moment = (text) =>
  element("time", { datetime: text, title: new Date(text).toLocaleString() }, ago(text));

/** `1 note`, `2 notes`. */
export const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

/** What is remembered in the browser. It may be forbidden, or full: then that is said once, and all else goes on. */
export const memory = {
  read(key) {
    try { return JSON.parse(localStorage.getItem(`oneloop.${key}`)); } catch { return null; }
  },
  write(key, value) {
    try {
      if (value === null) localStorage.removeItem(`oneloop.${key}`);
      else localStorage.setItem(`oneloop.${key}`, JSON.stringify(value));
    } catch {
      if (!memory.isFull) toast("Your browser keeps no more of what you type: send or save it before you leave.");
      memory.isFull = true;
    }
  },
};

/** A name that nobody else has. `crypto.randomUUID` is missing where the page came over plain HTTP from another machine. */
export function freshId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * The path of a note as a part of an address. Dots alone would be steps in it, however they are written: with a `%` behind
 * them they are no step, and no note's name either, so that the server says what is wrong with them.
 */
export const inAddress = (path) =>
  path.split("/").map((part) => (/^\.\.?$/.test(part) ? `${part}%25` : encodeURIComponent(part))).join("/");

/** Lets the keyboard reach code and tables that are wider than the screen: what can't be focused can't be scrolled by keys. */
export function reachWide() {
  reachWide.frame ??= requestAnimationFrame(() => {
    reachWide.frame = null;
    const blocks = [...document.querySelectorAll(".view:not([hidden]) :is(.answer pre, .answer table, .sources blockquote)")];
    // All are measured before any is changed: or the browser would lay out the page once for each.
    const cut = blocks.map((block) => block.scrollWidth > block.clientWidth || block.scrollHeight > block.clientHeight);
    blocks.forEach((block, at) => {
      if (cut[at]) block.tabIndex = 0;
      else if (block.tabIndex === 0) block.removeAttribute("tabindex");
    });
  });
}

/** Replaces what stands in an element; the focus stays on what is called or leads the same, if it is still there. */
export function redraw(place, ...nodes) {
  const key = (one) => one.getAttribute("aria-label") ?? one.getAttribute("href") ?? one.textContent;
  const had = place.contains(document.activeElement) ? key(document.activeElement) : null;
  place.replaceChildren(...nodes);
  if (had === null) return;
  const same = [...place.querySelectorAll("a, button")].find((one) => key(one) === had) ?? place.querySelector("a, button");
  same?.focus({ preventScroll: true });
}

/** Begins what nobody waits for: that the server can't be reached is said elsewhere. */
export const quietly = (promise) => { promise.catch(() => {}); };
