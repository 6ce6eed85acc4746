// From the tree that Markdown became to nodes of a document. See markdown.mjs.

import { plainText, targetOf } from "./inlines.mjs";

/** What becomes of a node: the name of its element, and its attributes. An id or a class begins with a word of ours. */
const ELEMENTS = {
  paragraph: () => ["p"],
  title: () => ["p", { class: "callout-title" }],
  heading: ({ level, slug }, page) => [`h${Math.min(6, level + page.headingBase)}`, { id: `${page.idPrefix}h-${slug}` }],
  code: () => ["pre"],
  quote: ({ callout }) => ["blockquote", { class: callout && `callout callout-${callout}` }],
  list: ({ start }) => (start === null ? ["ul"] : ["ol", { start: start === 1 ? null : start }]),
  item: ({ done }) => ["li", { class: done !== null && "task" }],
  table: () => ["table"],
  row: () => ["tr"],
  cell: ({ side, isHeader }) => [isHeader ? "th" : "td", { scope: isHeader && "col", class: side && `align-${side}` }],
  footnote: ({ slug }, page) => ["div", { class: "footnote", id: `${page.idPrefix}fn-${slug}` }],
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
  footnoteMark: ({ slug, text }, page) => [renderAnchor(page, { href: `#${page.idPrefix}fn-${slug}`, className: "footnote-mark" }, [text])],
};

/**
 * Builds the nodes of a tree.
 *
 * `link(kind, target, label, heading)` answers `{href, className, title}`, or null to show the label alone. Its kinds are
 * `wiki` (the name as written, and what stands behind `#` or ""), `path` (relative, as written) and `url` (normalised).
 * Whatever it answers, a link to an address that is refused is not made. `citation(number)` answers the same, or null.
 * `headingBase` is added to the levels of headings: `#` is an h2, unless said otherwise. `idPrefix` begins all ids, for a page
 * that shows several trees.
 */
export function render(tree, { link = () => null, citation = () => null, document, headingBase = 1, idPrefix = "" }) {
  const page = { link, citation, document, headingBase, idPrefix, isInLink: false };
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
