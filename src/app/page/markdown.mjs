// Turns Markdown into a tree of plain objects, and the tree into DOM nodes.
//
// Notes and answers are written by others, so what stands in them stays text: elements are made one by one, no string is
// read as HTML, nothing is loaded, and an address becomes a link only if it is `http:`, `https:`, `mailto:` or relative.
//
// Covered: CommonMark's common part, of GFM tables, tasks, strikethrough, bare addresses and footnotes, of Obsidian front
// matter, wikilinks, embeds, callouts, tags, marks and comments. Not covered: HTML (shown as written), pictures (their
// description is shown), entities but the common ones, and the CommonMark rules that need more than one line of lookahead.
//
// Time is linear in the text: blocks are read by line, inlines in one pass with a bounded stack of openers, and what is
// searched in vain is searched once. Any string is valid, so a text that still grows can be shown at any moment.

/** Containers within containers, and openers that wait for their closers. What is deeper is shown as it is written. */
export const NESTING_MAX = 32;
const SLUG_MAX = 100;
const TAB_COLUMNS = 4;

/**
 * Reads a text. With `options.citations`, `[1]` and `[1, 2]` are citations, whatever else Markdown would make of them.
 *
 * The answer is `{frontMatter, blocks}`; `frontMatter` is null or a list of `[key, value]`, both strings. A node has a `type`
 * and `text` or `children`. Blocks, items and rows have `from` and `to`, their place in `text`: UTF-16 code units, half-open.
 */
export function parse(text, options = {}) {
  const lines = splitLines(text);
  const front = readFrontMatter(lines);
  const context = {
    citations: options.citations === true,
    commentEnds: { "<!--": text.lastIndexOf("-->"), "%%": text.lastIndexOf("%%") },
    definitions: new Map(),
    footnotes: new Map(),
    slugs: new Map(),
    inlines: [],
  };
  const { blocks } = parseBlocks(lines.slice(front.lines), 0, context);
  // Inlines come second, because a link may stand above the definition that it names.
  for (const { node, source } of context.inlines) {
    node.children = parseInlines(source, context);
    if (node.type === "heading") node.slug = uniqueSlug(context, "h-", plainText(node));
  }
  return { frontMatter: front.pairs, blocks };
}

/** The text of a tree, a node or a list of nodes, without marks; blocks stand on lines of their own. */
export function plainText(node) {
  if (node.text !== undefined) return node.text;
  const children = Array.isArray(node) ? node : (node.blocks ?? node.children ?? []);
  const separator = node.type === "row" ? " " : children[0]?.from === undefined ? "" : "\n";
  return children.map(plainText).join(separator);
}

/** The slug of a heading, as long as no other heading of its text has the same; a number is added then. */
export function slugOf(heading) {
  const kept = heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").trim();
  return kept.replace(/\s/g, "-").slice(0, SLUG_MAX) || "section";
}

function uniqueSlug({ slugs }, prefix, text) {
  const base = slugOf(text);
  let slug = base;
  while (slugs.has(prefix + slug)) {
    const count = slugs.get(prefix + base) + 1;
    slugs.set(prefix + base, count);
    slug = `${base}-${count}`;
  }
  slugs.set(prefix + slug, 0);
  return slug;
}

// Lines. A line is `{text, to}`: what its containers left of it, and where it ends in the source. Marks are only ever taken
// from its front, so a place in it is found by counting back from `to`.

function splitLines(text) {
  const lines = [];
  let start = text.startsWith("\uFEFF") ? 1 : 0;
  for (const end of text.matchAll(/\r\n?|\n/g)) {
    lines.push({ text: text.slice(start, end.index), to: end.index });
    start = end.index + end[0].length;
  }
  if (start < text.length) lines.push({ text: text.slice(start), to: text.length });
  return lines;
}

const isBlank = (line) => line.text.trim() === "";
const cut = (line, count) => ({ text: line.text.slice(count), to: line.to });

function indentOf({ text }, column = 0) {
  let end = column;
  for (let index = 0; text[index] === " " || text[index] === "\t"; index += 1) end = columnAfter(text[index], end);
  return end - column;
}

const columnAfter = (space, column) => column + (space === "\t" ? TAB_COLUMNS - (column % TAB_COLUMNS) : 1);

/** Takes up to `columns` of white space from a line that begins at `column`; half a tab leaves spaces. */
function unindent(line, columns, column = 0) {
  const end = column + columns;
  let index = 0;
  for (; column < end && (line.text[index] === " " || line.text[index] === "\t"); index += 1) {
    column = columnAfter(line.text[index], column);
  }
  return { text: " ".repeat(Math.max(0, column - end)) + line.text.slice(index), to: line.to };
}

/** Lines of `key: value`; what is indented or begins with `-` belongs to the key above. Values are not interpreted. */
function readFrontMatter(lines) {
  const none = { pairs: null, lines: 0 };
  const end = lines.findIndex((line, index) => index > 0 && /^(?:---|\.\.\.)\s*$/.test(line.text));
  if (end < 0 || lines[0].text.trimEnd() !== "---") return none;
  const pairs = [];
  for (const { text } of lines.slice(1, end)) {
    const key = /^([^\s:#-][^:]*):(?:\s|$)/.exec(text);
    const more = text.trim().replace(/^-\s+/, "");
    if (key) pairs.push([key[1].trim(), text.slice(key[0].length).trim()]);
    else if (more === "" || more.startsWith("#")) continue;
    else if (pairs.length === 0) return none;
    else pairs.at(-1)[1] += (pairs.at(-1)[1] && ", ") + more;
  }
  return { pairs, lines: end + 1 };
}

// Blocks. A reader is `{lines, index, depth, context}`. A function `read…` is given it and the line at `index`, and answers
// a block, null if it took lines that show nothing, or undefined if the line is none of its business.

const HEADING = /^ {0,3}(#{1,6})(?=[ \t]|$)/;
const UNDERLINE = /^ {0,3}(=+|-+)[ \t]*$/;
const RULE = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const QUOTE = /^ {0,3}>/;
const ITEM = /^ {0,3}(?:([-+*])|(\d{1,9})([.)]))(?=[ \t]|$)/;
const INTERRUPTING_ITEM = /^ {0,3}(?:[-+*]|1[.)])[ \t]+[^ \t]/;
const CONTAINERS = /^(?: {0,3}(?:>|(?:[-+*]|\d{1,9}[.)])(?=[ \t]|$)) ?)*/;
const FENCE = /^( {0,3})(`{3,}|~{3,})/;
const CALLOUT = /^\[!([\w-]{1,32})\][+-]?/;
const TASK = /^\[([ xX])\](?=\s|$)/;
const FOOTNOTE = /^ {0,3}\[\^([^\]\s]{1,100})\]:/;
const DEFINITION = /^ {0,3}\[((?:[^[\]\\]|\\.){1,200})\]:/;
const COMMENT = /^ {0,3}(<!--|%%)/;
const TABLE_RULE = /^[-:| \t]+$/;
const INTERRUPTING = [HEADING, RULE, QUOTE, INTERRUPTING_ITEM, FOOTNOTE];

const READERS = [
  readComment, readIndentedCode, readFence, readRule, readHeading, readQuote, readList, readFootnote, readDefinition,
  readTable, readParagraph,
];

function parseBlocks(lines, depth, context) {
  const reader = { lines, index: 0, depth, context };
  const blocks = [];
  let isAfterBlank = false;
  let loose = false;
  while (reader.index < lines.length) {
    const line = lines[reader.index];
    if (isBlank(line)) {
      reader.index += 1;
      isAfterBlank = true;
      continue;
    }
    const block = readBlock(reader, line);
    if (!block) continue;
    loose ||= isAfterBlank && blocks.length > 0;
    isAfterBlank = false;
    blocks.push(block);
  }
  return { blocks, loose };
}

function readBlock(reader, line) {
  for (const read of READERS) {
    const block = read(reader, line);
    if (block !== undefined) return block;
  }
}

function blockOf(type, first, last, fields) {
  return { type, from: first.to - first.text.trimStart().length, to: last.to, ...fields };
}

/** A node whose children are inlines, which are read once all definitions are known. */
function withInlines(reader, node, source) {
  reader.context.inlines.push({ node, source });
  return node;
}

/** The mark of a comment that is closed somewhere below; one that is not is text. */
function commentMark({ context }, line) {
  const mark = COMMENT.exec(line.text);
  return mark && context.commentEnds[mark[1]] >= line.to - line.text.length + mark[0].length ? mark : null;
}

function readComment(reader, line) {
  const mark = commentMark(reader, line);
  if (!mark) return undefined;
  const closer = mark[1] === "%%" ? "%%" : "-->";
  reader.lines[reader.index] = cut(line, mark[0].length);
  for (; reader.index < reader.lines.length; reader.index += 1) {
    const { text } = reader.lines[reader.index];
    const at = text.indexOf(closer);
    if (at < 0) continue;
    // What follows on the line is read as if it began there.
    reader.lines[reader.index] = cut(reader.lines[reader.index], at + closer.length);
    break;
  }
  return null;
}

function readIndentedCode(reader, line) {
  if (indentOf(line) < TAB_COLUMNS) return undefined;
  const inner = takeIndented(reader, unindent(line, TAB_COLUMNS), TAB_COLUMNS, null);
  return blockOf("code", line, inner.at(-1), { language: "", text: inner.map(({ text }) => text).join("\n") });
}

function openFence(text) {
  const match = FENCE.exec(text);
  const info = match && text.slice(match[0].length);
  return match && !(match[2][0] === "`" && info.includes("`")) ? { indent: match[1].length, mark: match[2], info } : null;
}

function closesFence(fence, text) {
  const match = FENCE.exec(text);
  return match !== null && match[2].startsWith(fence.mark) && text.slice(match[0].length).trim() === "";
}

/** A fence that is not closed runs to the end of its container. */
function readFence(reader, line) {
  const fence = openFence(line.text);
  if (!fence) return undefined;
  const { lines, index } = reader;
  let end = index + 1;
  while (end < lines.length && !closesFence(fence, lines[end].text)) end += 1;
  reader.index = Math.min(end + 1, lines.length);
  const text = lines.slice(index + 1, end).map((inner) => unindent(inner, fence.indent).text).join("\n");
  const language = fence.info.trim().split(/\s/, 1)[0].replace(/[^A-Za-z0-9_+-]/g, "");
  return blockOf("code", line, lines[reader.index - 1], { language, text });
}

function readRule(reader, line) {
  if (!RULE.test(line.text)) return undefined;
  reader.index += 1;
  return blockOf("rule", line, line);
}

function readHeading(reader, line) {
  const mark = HEADING.exec(line.text);
  if (!mark) return undefined;
  reader.index += 1;
  const text = line.text.slice(mark[0].length).trim();
  let end = text.length;
  while (text[end - 1] === "#") end -= 1;
  const isClosed = end === 0 || /\s/.test(text[end - 1]);
  const block = blockOf("heading", line, line, { level: mark[1].length });
  return withInlines(reader, block, isClosed ? text.slice(0, end).trim() : text);
}

/** What a line leaves open: a fence, or a paragraph that a line without the container's mark may continue. */
function follow(open, text) {
  const bare = text.slice(CONTAINERS.exec(text)[0].length);
  if (open.fence) return closesFence(open.fence, bare) ? {} : open;
  const fence = openFence(bare);
  const isText = bare.trim() !== "" && !fence && !HEADING.test(bare) && !RULE.test(bare);
  return { fence, paragraph: isText && (open.paragraph || indentOf({ text: bare }) < TAB_COLUMNS) };
}

/** The lines of a container. `strip` takes its mark from a line, or answers null; `open` is null if no line may lack it. */
function takeContainer(reader, first, strip, open) {
  const inner = [first];
  open &&= follow(open, first.text);
  for (reader.index += 1; reader.index < reader.lines.length; reader.index += 1) {
    const line = reader.lines[reader.index];
    const isLazy = () => open?.paragraph && !isBlank(line) && !ITEM.test(line.text) && !interrupts(reader, line);
    const stripped = strip(line) ?? (isLazy() ? line : null);
    if (!stripped) break;
    inner.push(stripped);
    open &&= follow(open, stripped.text);
  }
  return inner;
}

/** The lines of a container that is told by its indent. Blank lines at its end are left to whoever comes next. */
function takeIndented(reader, first, columns, open) {
  const strip = (line) => (isBlank(line) || indentOf(line) >= columns ? unindent(line, columns) : null);
  const inner = takeContainer(reader, first, strip, open);
  while (inner.length > 1 && isBlank(inner.at(-1))) {
    inner.pop();
    reader.index -= 1;
  }
  return inner;
}

function stripQuote(line) {
  const mark = QUOTE.exec(line.text);
  return mark && unindent(cut(line, mark[0].length), 1, mark[0].length);
}

function readQuote(reader, line) {
  const first = stripQuote(line);
  if (!first || reader.depth >= NESTING_MAX) return undefined;
  const inner = takeContainer(reader, first, stripQuote, {});
  const block = blockOf("quote", line, inner.at(-1), { callout: null });
  const callout = CALLOUT.exec(first.text);
  const rest = callout ? inner.slice(1) : inner;
  block.children = parseBlocks(rest, reader.depth + 1, reader.context).blocks;
  if (callout) {
    block.callout = callout[1].toLowerCase();
    const title = first.text.slice(callout[0].length).trim() || callout[1];
    block.children.unshift(withInlines(reader, blockOf("title", first, first), title));
  }
  return block;
}

/** The mark of an item at a line, if it has the kind of `mark`: the same bullet, or a number before the same sign. */
function itemMark({ lines, depth }, index, mark) {
  if (index >= lines.length || depth >= NESTING_MAX || RULE.test(lines[index].text)) return null;
  const next = ITEM.exec(lines[index].text);
  return next && (!mark || (next[1] === mark[1] && next[3] === mark[3])) ? next : null;
}

function readList(reader) {
  const { lines, index } = reader;
  const mark = itemMark(reader, index, null);
  if (!mark) return undefined;
  const children = [];
  let tight = true;
  for (let next = index; itemMark(reader, next, mark); ) {
    tight &&= next === reader.index;
    reader.index = next;
    const { item, loose } = readItem(reader, lines[next]);
    tight &&= !loose;
    children.push(item);
    for (next = reader.index; next < lines.length && isBlank(lines[next]); ) next += 1;
  }
  for (const item of children) item.tight = tight;
  const start = mark[2] === undefined ? null : Number(mark[2]);
  return { type: "list", from: children[0].from, to: children.at(-1).to, start, children };
}

function readItem(reader, line) {
  const width = ITEM.exec(line.text)[0].length;
  const rest = cut(line, width);
  const gap = indentOf(rest, width);
  const columns = width + (gap <= TAB_COLUMNS && !isBlank(rest) ? gap : 1);
  const first = unindent(rest, columns - width, width);
  const task = TASK.exec(first.text);
  const inner = takeIndented(reader, task ? cut(first, task[0].length) : first, columns, {});
  const { blocks, loose } = parseBlocks(inner, reader.depth + 1, reader.context);
  return { item: blockOf("item", line, inner.at(-1), { done: task && task[1] !== " ", children: blocks }), loose };
}

function readFootnote(reader, line) {
  const mark = FOOTNOTE.exec(line.text);
  if (!mark || reader.depth >= NESTING_MAX) return undefined;
  const { footnotes } = reader.context;
  const slug = uniqueSlug(reader.context, "fn-", mark[1]);
  if (!footnotes.has(mark[1])) footnotes.set(mark[1], slug);
  const inner = takeIndented(reader, unindent(cut(line, mark[0].length), TAB_COLUMNS), TAB_COLUMNS, {});
  const { blocks } = parseBlocks(inner, reader.depth + 1, reader.context);
  return blockOf("footnote", line, inner.at(-1), { name: mark[1], slug, children: blocks });
}

function readDefinition(reader, { text }) {
  const { citations, definitions } = reader.context;
  const mark = DEFINITION.exec(text);
  if (!mark || (citations && /^\d+$/.test(mark[1]))) return undefined;
  const link = readDestination(text, mark[0].length);
  if (!link || link.isEmpty || link.end < text.length) return undefined;
  reader.index += 1;
  const label = labelOf(mark[1]);
  if (!definitions.has(label)) definitions.set(label, link);
  return null;
}

const labelOf = (text) => text.trim().replace(/\s+/g, " ").toLowerCase();

function splitRow(line) {
  const cells = line.text.trim().replace(/^\|/, "").split(/(?<!\\)\|/);
  if (cells.length > 1 && cells.at(-1).trim() === "") cells.pop();
  return cells.map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function startsTable({ lines, index }) {
  const rule = lines[index + 1];
  if (!rule || !lines[index].text.includes("|") || !TABLE_RULE.test(rule.text)) return false;
  const cells = splitRow(rule);
  return cells.every((cell) => /^:?-+:?$/.test(cell)) && cells.length === splitRow(lines[index]).length;
}

function readTable(reader, line) {
  if (!startsTable(reader)) return undefined;
  const { lines, index } = reader;
  const sides = splitRow(lines[index + 1]).map((cell) => (!cell.endsWith(":") ? null : cell[0] === ":" ? "center" : "right"));
  const children = [readRow(reader, line, sides, true)];
  for (reader.index += 2; reader.index < lines.length; reader.index += 1) {
    const row = lines[reader.index];
    if (isBlank(row) || interrupts(reader, row)) break;
    children.push(readRow(reader, row, sides, false));
  }
  return blockOf("table", line, lines[reader.index - 1], { children });
}

/** A short row stays short: to fill it would let few bytes ask for many cells. */
function readRow(reader, line, sides, isHeader) {
  const cells = splitRow(line).slice(0, sides.length);
  const children = cells.map((cell, column) => withInlines(reader, { type: "cell", side: sides[column], isHeader }, cell));
  return blockOf("row", line, line, { children });
}

/** Whether the line ends a paragraph above it. */
function interrupts(reader, line) {
  const isMarked = INTERRUPTING.some((mark) => mark.test(line.text));
  return isMarked || openFence(line.text) || commentMark(reader, line) || startsTable(reader);
}

/** Lines until a blank one or another block; a line of `=` or `-` makes them a heading. */
function readParagraph(reader, line) {
  const { lines, index } = reader;
  let underline = null;
  for (reader.index += 1; reader.index < lines.length && !isBlank(lines[reader.index]); reader.index += 1) {
    underline = UNDERLINE.exec(lines[reader.index].text);
    if (underline || interrupts(reader, lines[reader.index])) break;
  }
  const source = lines.slice(index, reader.index).map(({ text }) => text.trimStart()).join("\n").trimEnd();
  if (!underline) return withInlines(reader, blockOf("paragraph", line, lines[reader.index - 1]), source);
  reader.index += 1;
  const level = underline[1][0] === "=" ? 1 : 2;
  return withInlines(reader, blockOf("heading", line, lines[reader.index - 1], { level }), source);
}

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

function parseInlines(source, context) {
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
function readDestination(source, index) {
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
function targetOf(destination) {
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

// Rendering.

/** What becomes of a node: the name of its element, and its attributes. An id or a class begins with a word of ours. */
const ELEMENTS = {
  paragraph: () => ["p"],
  title: () => ["p", { class: "callout-title" }],
  heading: ({ level, slug }, page) => [`h${Math.min(6, level + page.headingBase)}`, { id: `h-${slug}` }],
  code: () => ["pre"],
  quote: ({ callout }) => ["blockquote", { class: callout && `callout callout-${callout}` }],
  list: ({ start }) => (start === null ? ["ul"] : ["ol", { start: start === 1 ? null : start }]),
  item: ({ done }) => ["li", { class: done !== null && "task" }],
  table: () => ["table"],
  row: () => ["tr"],
  cell: ({ side, isHeader }) => [isHeader ? "th" : "td", { scope: isHeader && "col", class: side && `align-${side}` }],
  footnote: ({ slug }) => ["div", { class: "footnote", id: `fn-${slug}` }],
  rule: () => ["hr"],
  break: () => ["br"],
  emphasis: () => ["em"],
  strong: () => ["strong"],
  strike: () => ["del"],
  highlight: () => ["mark"],
  codespan: () => ["code"],
  tag: () => ["span", { class: "tag" }],
  image: () => ["span", { class: "image" }],
  footnoteMark: () => ["sup"],
};

/** What stands in a node's element, where that is not simply its text or its children: nodes, and strings for text. */
const CONTENTS = {
  break: () => [],
  image: ({ text }) => [text ? `Image: ${text}` : "Image"],
  code: ({ language, text }, page) => [makeElement(page, "code", { class: language && `language-${language}` }, [text])],
  item: ({ done, tight, children }, page) => {
    const box = { type: "checkbox", disabled: true, checked: done, "aria-label": done ? "done" : "not done" };
    const bare = children.flatMap((child) => (tight && child.type === "paragraph" ? child.children : [child]));
    return [...(done === null ? [] : [makeElement(page, "input", box, []), " "]), ...renderAll(page, bare)];
  },
  table: ({ children }, page) => {
    const [head, ...body] = renderAll(page, children);
    return [makeElement(page, "thead", {}, [head]), makeElement(page, "tbody", {}, body)];
  },
  footnote: ({ name, children }, page) => [makeElement(page, "sup", {}, [name]), ...renderAll(page, children)],
  footnoteMark: ({ slug, text }, page) => [renderAnchor(page, { href: `#fn-${slug}`, className: "footnote-mark" }, [text])],
};

/**
 * Builds the nodes of a tree.
 *
 * `link(kind, target, label, heading)` answers `{href, className, title}`, or null to show the label alone. Its kinds are
 * `wiki` (the name as written, and what stands behind `#` or ""), `path` (relative, as written) and `url` (normalised).
 * Whatever it answers, a link to an address that is refused is not made. `citation(number)` answers the same, or null.
 * `headingBase` is added to the levels of headings: `#` is an h2, unless said otherwise.
 */
export function render(tree, { link = () => null, citation = () => null, document, headingBase = 1 }) {
  const page = { link, citation, document, headingBase, isInLink: false };
  const fragment = document.createDocumentFragment();
  const pairs = (tree.frontMatter ?? []).flatMap(([key, value]) => [
    makeElement(page, "dt", {}, [key]),
    makeElement(page, "dd", {}, [value]),
  ]);
  if (pairs.length > 0) fragment.append(makeElement(page, "dl", { class: "front-matter" }, pairs));
  for (const node of renderAll(page, tree.blocks)) fragment.append(node);
  return fragment;
}

/** The only place where elements are made: the names of attributes are constants, and strings become text. */
function makeElement({ document }, name, attributes, contents) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(key, "");
    else if (value || value === 0) element.setAttribute(key, String(value));
  }
  for (const part of contents) element.append(typeof part === "string" ? document.createTextNode(part) : part);
  return element;
}

const renderAll = (page, nodes) => nodes.map((node) => renderNode(page, node));

function renderNode(page, node) {
  if (node.type === "text") return page.document.createTextNode(node.text);
  if (node.type === "citation") return renderAnchor(page, page.citation(node.number), [node.text]);
  if (node.type === "link") return renderLink(page, node);
  const [name, attributes] = ELEMENTS[node.type](node, page);
  const simple = () => (node.text === undefined ? renderAll(page, node.children ?? []) : [node.text]);
  const contents = (CONTENTS[node.type] ?? simple)(node, page);
  return makeElement(page, name, { ...attributes, "data-from": node.from, "data-to": node.to }, contents);
}

function renderLink(page, node) {
  const { kind, target, heading, title } = node;
  const attributes = kind && page.link(kind, target, plainText(node), heading);
  return renderAnchor(page, attributes && { title, ...attributes }, renderAll({ ...page, isInLink: true }, node.children));
}

/** An anchor, or its contents alone where there is nothing to link to, and within another anchor. */
function renderAnchor(page, attributes, contents) {
  const { href, className, title } = attributes ?? {};
  const kind = href && targetOf(href).kind;
  if (!attributes || page.isInLink || kind === null) return makeElement(page, "span", {}, contents);
  const outside = kind === "url" && { rel: "noopener noreferrer nofollow", target: "_blank" };
  return makeElement(page, "a", { href, class: className, title, ...outside }, contents);
}
