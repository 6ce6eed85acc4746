// Where links lead: from what a note has in brackets to an address of this page.

import { inAddress } from "./dom.mjs";
import { ask } from "./api.mjs";

/**
 * Answers what `render` asks about a link in a text that stands in one of the notes `from`, or rests on them.
 *
 * `known` says what the server knows of the links of one note. Without it a link is looked up when somebody follows it.
 */
export function linkFrom(from, known = null) {
  return (kind, written, label, named) => {
    if (kind === "url") return { href: written };
    // `other.md#part` and `#part`: what stands behind the sign is a place in the note.
    const [target, place] = kind === "path" ? written.split("#") : [written, named];
    const heading = place && kind === "path" ? unescaped(place) : place;
    const part = heading ? `heading=${encodeURIComponent(heading)}` : "";
    // `[[#Heading]]` is a place in the same note.
    if (target === "") return from.length === 1 ? { href: noteAddress(from[0], part) } : null;
    const path = known?.get(keyOf(kind, target, from[0]));
    if (path) return { href: noteAddress(path, part) };
    const within = from.map((one) => `from=${encodeURIComponent(one)}`);
    const href = `#/link/${kind}/${encodeURIComponent(target)}?${[...within, part].filter(Boolean).join("&")}`;
    return path === null ? { href, className: "missing", title: "Nobody has written this note" } : { href };
  };
}

/** The address of a note. */
export const noteAddress = (path, query = "") => `#/note/${inAddress(path)}${query ? `?${query}` : ""}`;

/** Where the passage of a source is shown. Its text goes along: once the note has changed, it says where the passage is now. */
export const passageAddress = ({ path, start, end, hash, text }) =>
  noteAddress(path, `start=${start}&end=${end}&hash=${hash}${text ? `&text=${encodeURIComponent(text)}` : ""}`);

/** The links of a note by what they name: the path of the note that is meant, or null where there is none. */
export async function linksOf(path, signal) {
  const told = await ask("GET", `/knowledge/links?path=${encodeURIComponent(path)}`, { signal });
  return { ...told, known: new Map(told.links.map((link) => [link.target.toLowerCase(), link.path])) };
}

/** Where `#/link/KIND/TARGET` leads: the path of a note, or null. */
export async function lookUp(kind, target, from, signal) {
  for (const path of from) {
    const { known } = await linksOf(path, signal).catch(() => ({ known: new Map() }));
    const found = known.get(keyOf(kind, target, path));
    if (found) return found;
  }
  const { notes } = await ask("GET", `/notes/search?limit=10&query=${encodeURIComponent(target)}`, { signal });
  const wanted = target.toLowerCase();
  const names = ({ path, title }) => [path, path.replace(/\.(md|markdown)$/i, ""), path.replace(/^.*\/|\.(md|markdown)$/gi, ""), title];
  return notes.find((note) => names(note).some((name) => name.toLowerCase() === wanted))?.path ?? null;
}

/** What the server calls a link: of a path, that path from the folder on. */
function keyOf(kind, target, from) {
  const name = kind === "path" ? resolved(from, target) : target.trim().replace(/^\/+/, "");
  return name.toLowerCase();
}

/** A `%` that no two digits follow means itself. */
function unescaped(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

function resolved(from = "", target) {
  const decoded = unescaped(target.split("?")[0]);
  const parts = decoded.startsWith("/") ? [] : from.split("/").slice(0, -1);
  for (const part of decoded.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}
