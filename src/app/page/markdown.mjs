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

import { parseBlocks, readFrontMatter, splitLines, uniqueSlug } from "./blocks.mjs";
import { parseInlines, plainText } from "./inlines.mjs";

export { slugOf } from "./blocks.mjs";
export { NESTING_MAX, plainText } from "./inlines.mjs";
export { render } from "./render.mjs";

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
