// Markdown's blocks: paragraphs, headings, lists, tables and what else takes lines of its own. See markdown.mjs.

import { NESTING_MAX, labelOf, readDestination } from "./inlines.mjs";

const SLUG_MAX = 100;
const TAB_COLUMNS = 4;

// Lines. A line is `{text, to}`: what its containers left of it, and where it ends in the source. Marks are only ever taken
// from its front, so a place in it is found by counting back from `to`.

export function splitLines(text) {
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
export function readFrontMatter(lines) {
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

export function parseBlocks(lines, depth, context) {
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

/** The slug of a heading, as long as no other heading of its text has the same; a number is added then. */
export function slugOf(heading) {
  const kept = heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").trim();
  return kept.replace(/\s/g, "-").slice(0, SLUG_MAX) || "section";
}

export function uniqueSlug({ slugs }, prefix, text) {
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
