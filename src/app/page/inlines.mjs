// Markdown within a block: emphasis, code, links and what else stands in a line. See markdown.mjs.

/** Containers within containers, and openers that wait for their closers. What is deeper is shown as it is written. */
export const NESTING_MAX = 32;

// Inlines. A scanner is `{source, index, nodes, openers, unclosed, context}`. A function `scan…` takes what begins at `index`
// and moves on; if it does not, the character is text. An opener waits in the stack until its closer wraps what came since.

const PLAIN = /[^\\&`*_~=[\]!<%#h\n]+/y;
const ESCAPE = /\\([!-/:-@[-`{-~])|&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([a-zA-Z]{2,8}));/y;
const ESCAPES = new RegExp(ESCAPE, "g");
const WIKILINK = /(!?)\[\[([^[\]\n|#]*)(?:#([^[\]\n|]*))?(?:\|([^[\]\n]*))?\]\]/y;
const CITATION = /\[(\d{1,4}(?: ?, ?\d{1,4})*)\](?!\()/y;
const FOOTNOTE_MARK = /\[\^([^\]\s]{1,100})\]/y;
const REFERENCE = /\[((?:[^[\]\\]|\\.){0,200})\]/y;
const AUTOLINK = /<((?:https?:\/\/|mailto:)[^\s<>]+)>/y;
const ADDRESS = /https?:\/\/(?:[^\s<>[\]`|()]|\([^\s<>[\]`|()]{0,200}\))+/y;
const TAG = /#[\p{L}\p{N}_/-]+/uy;
// The bounds say how far one that is not closed is read in vain.
const DESTINATION = /<([^<>\n]{0,1000})>|((?:[^\s()<\\]|\\.|\([^\s()]{0,1000}\)){0,1000})/y;
const TITLE = /(["'])((?:\\.|(?!\1)[^\\]){0,1000})\1/y;
const ENTITIES = {
  amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", copy: "©", reg: "®", trade: "™", deg: "°", euro: "€",
  times: "×", middot: "·", bull: "•", hellip: "…", ndash: "–", mdash: "—", laquo: "«", raquo: "»", larr: "←", rarr: "→",
};
const SCANS = new Map(Object.entries({
  "\\": scanEscape, "&": scanEscape, "`": scanCode, "*": scanDelimiter, _: scanDelimiter, "~": scanDelimiter,
  "=": scanDelimiter, "[": scanBracket, "!": scanBracket, "]": scanClosingBracket, "<": scanAngle, "%": scanPercent,
  "#": scanTag, h: scanAddress, "\n": scanNewline,
}));

export function parseInlines(source, context) {
  const scanner = { source, context, index: 0, nodes: [], openers: [], unclosed: new Set() };
  while (scanner.index < source.length) {
    const start = scanner.index;
    const plain = take(scanner, PLAIN);
    if (plain) addText(scanner, plain[0]);
    else SCANS.get(source[start])(scanner);
    if (scanner.index === start) addText(scanner, source[scanner.index++]);
  }
  return scanner.nodes;
}

/** The match of a sticky expression at the scanner's place, which moves behind it. */
function take(scanner, pattern) {
  pattern.lastIndex = scanner.index;
  const match = pattern.exec(scanner.source);
  if (match) scanner.index = pattern.lastIndex;
  return match;
}

/** Text grows the node before it, unless that is the mark of an opener. */
function addText({ nodes, openers }, text) {
  const last = nodes.at(-1);
  if (last?.type === "text" && openers.at(-1)?.node !== last) last.text += text;
  else nodes.push({ type: "text", text });
}

function unescape(match, escaped, decimal, hexadecimal, name) {
  if (escaped) return escaped;
  if (name) return Object.hasOwn(ENTITIES, name) ? ENTITIES[name] : match;
  const code = decimal ? Number(decimal) : parseInt(hexadecimal, 16);
  return code === 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? "\ufffd" : String.fromCodePoint(code);
}

function scanEscape(scanner) {
  const match = take(scanner, ESCAPE);
  if (match) return addText(scanner, unescape(...match));
  if (!scanner.source.startsWith("\\\n", scanner.index)) return;
  scanner.nodes.push({ type: "break", text: "\n" });
  scanner.index += 2;
}

/** A line's end begins a new node, so that to trim a line looks at that line alone. */
function scanNewline(scanner) {
  const last = scanner.nodes.at(-1);
  const isHard = last?.type === "text" && last.text.endsWith("  ");
  if (last?.type === "text") last.text = last.text.trimEnd();
  scanner.nodes.push({ type: isHard ? "break" : "text", text: "\n" });
  scanner.index += 1;
}

/** Long runs are text: each length may be searched in vain once, so their number is bounded. */
function scanCode(scanner) {
  const { source, unclosed } = scanner;
  const [run] = take(scanner, /`+/y);
  const closer = new RegExp(`(?<!\`)${run}(?!\`)`, "g");
  closer.lastIndex = scanner.index;
  const end = run.length > NESTING_MAX || unclosed.has(run) ? null : closer.exec(source);
  if (!end) {
    unclosed.add(run);
    return addText(scanner, run);
  }
  const text = source.slice(scanner.index, end.index).replaceAll("\n", " ");
  const isPadded = text.startsWith(" ") && text.endsWith(" ") && text.trim() !== "";
  scanner.nodes.push({ type: "codespan", text: isPadded ? text.slice(1, -1) : text });
  scanner.index = closer.lastIndex;
}

/** A full stack forgets its oldest opener, which stays text. */
function pushOpener({ nodes, openers }, opener, text) {
  opener.node = { type: "text", text };
  opener.place = nodes.push(opener.node) - 1;
  openers.push(opener);
  if (openers.length > NESTING_MAX) openers.shift();
}

/** CommonMark 0.31, 6.2: what stands on both sides of a run says whether it can open and close. */
function scanDelimiter(scanner) {
  const { source, index } = scanner;
  const [run, mark] = take(scanner, /([*_~=])\1*/y);
  const isDouble = mark === "~" || mark === "=";
  // A longer run is decoration, and would nest one element for each pair.
  if (run.length > 3 || (isDouble && run.length !== 2)) return addText(scanner, run);
  const before = kindOf(source[index - 1]);
  const after = kindOf(source[scanner.index]);
  const isLeft = after !== "space" && (after === "word" || before !== "word");
  const isRight = before !== "space" && (before === "word" || after !== "word");
  const isInWord = (mark === "_" || mark === "=") && before === "word" && after === "word";
  const delimiter = { mark, length: run.length, canOpen: isLeft && !isInWord, canClose: isRight && !isInWord };
  while (delimiter.length > 0 && delimiter.canClose && closeDelimiter(scanner, delimiter));
  const rest = mark.repeat(delimiter.length);
  if (rest && delimiter.canOpen) pushOpener(scanner, delimiter, rest);
  else if (rest) addText(scanner, rest);
}

function kindOf(character) {
  if (character === undefined || /\s/.test(character)) return "space";
  return /[\p{P}\p{S}]/u.test(character) ? "mark" : "word";
}

/** Wraps what stands since the nearest opener that fits, and answers whether there was one. */
function closeDelimiter({ nodes, openers }, closer) {
  const at = openers.findLastIndex((opener) => opener.mark === closer.mark && fits(opener, closer));
  if (at < 0) return false;
  const opener = openers[at];
  const used = Math.min(opener.length, closer.length, 2);
  const type = { "~": "strike", "=": "highlight" }[closer.mark] ?? (used === 2 ? "strong" : "emphasis");
  openers.length = at + 1;
  nodes.push({ type, children: nodes.splice(opener.place + 1) });
  closer.length -= used;
  opener.length -= used;
  opener.node.text = opener.mark.repeat(opener.length);
  if (opener.length === 0) {
    openers.pop();
    nodes.splice(opener.place, 1);
  }
  return true;
}

/** CommonMark's "multiple of 3": in `**a*b*c**` the inner marks belong together. */
function fits(opener, closer) {
  const sum = opener.length + closer.length;
  return !(opener.canClose || closer.canOpen) || sum % 3 !== 0 || opener.length % 3 === 0;
}

function scanBracket(scanner) {
  const { source, index, context, nodes } = scanner;
  const wikilink = take(scanner, WIKILINK);
  if (wikilink) return addWikilink(scanner, wikilink);
  const isImage = source[index] === "!";
  if (isImage && source[index + 1] !== "[") return;
  const citation = context.citations && take(scanner, CITATION);
  if (citation) {
    const numbers = citation[1].split(",").map(Number);
    for (const number of numbers) nodes.push({ type: "citation", number, text: `[${number}]` });
    return;
  }
  const name = take(scanner, FOOTNOTE_MARK)?.[1];
  if (context.footnotes.has(name)) {
    nodes.push({ type: "footnoteMark", slug: context.footnotes.get(name), text: name });
    return;
  }
  scanner.index = index + (isImage ? 2 : 1);
  pushOpener(scanner, { mark: isImage ? "![" : "[", end: scanner.index }, source.slice(index, scanner.index));
}

function addWikilink(scanner, [written, embed, name, heading = "", alias = ""]) {
  const link = { kind: "wiki", target: name.trim(), heading: heading.trim() };
  const own = [link.target, link.heading].filter(Boolean).join(" > ");
  // What an embed has behind `|` is the size of a picture, as a rule.
  const text = (!embed && alias.trim()) || own;
  if (own) addLink(scanner, link, text);
  else addText(scanner, written);
}

function addLink({ nodes }, { kind, target, heading = "", title = "" }, content) {
  const children = typeof content === "string" ? [{ type: "text", text: content }] : content;
  nodes.push({ type: "link", kind, target, heading, title, children });
}

function scanClosingBracket(scanner) {
  const { source, nodes, openers } = scanner;
  const at = openers.findLastIndex(({ mark }) => mark === "[" || mark === "![");
  if (at < 0) return;
  const opener = openers[at];
  const link = readInlineTarget(scanner) ?? readReference(scanner, source.slice(opener.end, scanner.index));
  if (!link) {
    openers.splice(at, 1);
    return;
  }
  scanner.index = link.end;
  const children = nodes.splice(opener.place + 1);
  nodes.pop();
  openers.length = at;
  if (opener.mark === "![") {
    nodes.push({ type: "image", text: plainText(children) });
  } else {
    // No link stands in a link: what is still open around this one stays text.
    scanner.openers = openers.filter(({ mark }) => mark !== "[");
    addLink(scanner, link, children);
  }
}

function readInlineTarget({ source, index }) {
  if (source[index + 1] !== "(") return null;
  const link = readDestination(source, index + 2);
  return source[link.end] === ")" ? { ...link, end: link.end + 1 } : null;
}

function readReference({ source, index, context }, text) {
  if (context.definitions.size === 0) return null;
  const scanner = { source, index: index + 1 };
  const label = take(scanner, REFERENCE)?.[1] || text;
  const definition = label.length <= 200 && context.definitions.get(labelOf(label));
  return definition ? { ...definition, end: scanner.index } : null;
}

/** A destination and its title, from `index` to the white space behind them. */
export function readDestination(source, index) {
  const scanner = { source, index };
  const space = () => take(scanner, /\s*/y)[0];
  space();
  const [written, angled, plain] = take(scanner, DESTINATION);
  const title = (space() && take(scanner, TITLE)?.[2]) || "";
  space();
  const target = targetOf((angled ?? plain).replace(ESCAPES, unescape));
  return { ...target, title: title.replace(ESCAPES, unescape), isEmpty: written === "", end: scanner.index };
}

/**
 * What kind of address a destination is: `url`, `path`, or null for one that is never followed.
 *
 * Browsers drop control characters from addresses and take `\` for `/`, so these are refused before anything is compared.
 */
export function targetOf(destination) {
  const target = destination.trim();
  const refused = { kind: null, target: "" };
  if (target === "" || /[\u0000-\u001f\u007f-\u009f]|^[/\\]{2}/.test(target)) return refused;
  if (!/^[^/?#]*:/.test(target)) return { kind: "path", target };
  try {
    const url = new URL(target);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? { kind: "url", target: url.href } : refused;
  } catch {
    return refused;
  }
}

function scanAngle(scanner) {
  const link = take(scanner, AUTOLINK);
  if (link) addLink(scanner, targetOf(link[1]), link[1]);
  else skipComment(scanner, "<!--", "-->");
}

function scanPercent(scanner) {
  skipComment(scanner, "%%", "%%");
}

function skipComment(scanner, opener, closer) {
  const { source, index, unclosed } = scanner;
  if (!source.startsWith(opener, index) || unclosed.has(closer)) return;
  const end = source.indexOf(closer, index + opener.length);
  if (end < 0) unclosed.add(closer);
  else scanner.index = end + closer.length;
}

function scanTag(scanner) {
  const before = scanner.source[scanner.index - 1];
  const tag = before === undefined || /[\s(]/.test(before) ? take(scanner, TAG) : null;
  if (!tag) return;
  if (/\p{L}/u.test(tag[0])) scanner.nodes.push({ type: "tag", text: tag[0] });
  else addText(scanner, tag[0]);
}

/** An address that stands bare in a text; the signs that end a sentence are not part of it. */
function scanAddress(scanner) {
  const { source, index } = scanner;
  const match = /\w/.test(source[index - 1] ?? "") ? null : take(scanner, ADDRESS);
  if (!match) return;
  let end = match[0].length;
  while ("?!.,:;*_~'\"".includes(match[0][end - 1])) end -= 1;
  scanner.index = index + end;
  addLink(scanner, targetOf(match[0].slice(0, end)), match[0].slice(0, end));
}

export const labelOf = (text) => text.trim().replace(/\s+/g, " ").toLowerCase();

/** The text of a tree, a node or a list of nodes, without marks; blocks stand on lines of their own. */
export function plainText(node) {
  if (node.text !== undefined) return node.text;
  const children = Array.isArray(node) ? node : (node.blocks ?? node.children ?? []);
  const separator = node.type === "row" ? " " : children[0]?.from === undefined ? "" : "\n";
  return children.map(plainText).join(separator);
}
