// What the page's Markdown shows, and what it never does, whatever a note or a model writes.
//
// Run with `node --test tests/browser/unit/`. The document is a fake that keeps names, attributes and text; it has nothing
// that could read a string as HTML, so a module that tried would fail here.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { describe, test } from "node:test";
import { NESTING_MAX, parse, plainText, render, slugOf } from "../../../src/app/page/markdown.mjs";

const DOCS = new URL("../../../docs/", import.meta.url);
const VOID = new Set(["br", "hr", "input"]);

class FakeNode {
  constructor(name, text = "") {
    this.name = name;
    this.text = text;
    this.attributes = new Map();
    this.children = [];
  }

  setAttribute(key, value) {
    assert.equal(typeof value, "string");
    this.attributes.set(key, value);
  }

  append(...children) {
    for (const child of children) assert.ok(child instanceof FakeNode, "only nodes are appended, never strings");
    this.children.push(...children);
  }
}

const fakeDocument = {
  createElement: (name) => new FakeNode(name),
  createTextNode: (text) => new FakeNode("#text", text),
  createDocumentFragment: () => new FakeNode("#fragment"),
};

/** A page that links whatever it is given, as given: what is refused is refused by the module. */
const ECHO = {
  document: fakeDocument,
  link: (kind, target, label, heading) => ({ href: target + (heading && `#${heading}`), className: kind }),
  citation: (number) => (number <= 9 ? { href: `#source-${number}`, className: "citation" } : null),
};

function draw(text, options) {
  return render(parse(text, options), ECHO);
}

/** The nodes as a string to compare with; the places in the source are left out. */
function write(node) {
  if (node.name === "#text") return node.text.replaceAll("<", "&lt;");
  const inside = node.children.map(write).join("");
  if (node.name === "#fragment") return inside;
  const attributes = [...node.attributes].filter(([key]) => !key.startsWith("data-"));
  const open = `<${node.name}${attributes.map(([key, value]) => (value ? ` ${key}="${value}"` : ` ${key}`)).join("")}>`;
  return VOID.has(node.name) ? open : `${open}${inside}</${node.name}>`;
}

const show = (text, options) => write(draw(text, options));

/** Each claim of a table is a test: `[claim, text, expected, options]`. */
function claims(title, table) {
  describe(title, () => {
    for (const [claim, text, expected, options] of table) test(claim, () => assert.equal(show(text, options), expected));
  });
}

const OUTSIDE = 'rel="noopener noreferrer nofollow" target="_blank"';

claims("blocks", [
  ["a heading is one level deeper than its marks say", "# A\n###### B", '<h2 id="h-a">A</h2><h6 id="h-b">B</h6>'],
  ["a heading drops its closing marks", "## A b ##\n## C#", '<h3 id="h-a-b">A b</h3><h3 id="h-c">C#</h3>'],
  ["a line of signs below makes a heading", "A\nb\n===\nC\n---", '<h2 id="h-a-b">A\nb</h2><h3 id="h-c">C</h3>'],
  ["headings of one text have ids of their own", "# A\n# A\n# A-1", '<h2 id="h-a">A</h2><h2 id="h-a-1">A</h2><h2 id="h-a-1-1">A-1</h2>'],
  ["seven marks are no heading", "####### A", "<p>####### A</p>"],
  ["lines of a paragraph stay together", "a\n  b\n\nc", "<p>a\nb</p><p>c</p>"],
  ["two spaces and a backslash break a line", "a  \nb\\\nc", "<p>a<br>b<br>c</p>"],
  ["a rule is no list", "* * *\n---\n___", "<hr><hr><hr>"],
  ["a fence keeps its text and names its language", "```rust ignore\na <b>\n\tc\n```\nd", '<pre><code class="language-rust">a &lt;b>\n\tc</code></pre><p>d</p>'],
  ["a fence that is not closed runs to the end", "~~~\na\n\n```\n# b", "<pre><code>a\n\n```\n# b</code></pre>"],
  ["a shorter fence does not close a longer one", "````\n```\n````", "<pre><code>```</code></pre>"],
  ["a language is letters, digits and few signs", "```a\"><x y\n```", '<pre><code class="language-ax"></code></pre>'],
  ["four columns are code, blank lines at the end are not", "    a\n\n\t\tb\n\nc", "<pre><code>a\n\n\tb</code></pre><p>c</p>"],
  ["a quote goes on without its mark", "> a\nb\n> > c\n\nd", "<blockquote><p>a\nb</p><blockquote><p>c</p></blockquote></blockquote><p>d</p>"],
  ["a fence in a quote ends with the quote", "> ```\n> a\nb", "<blockquote><pre><code>a</code></pre></blockquote><p>b</p>"],
  [
    "a callout is a quote with a title",
    "> [!Note]- A *b*\n> c\n\n> [!tip]\n> d",
    '<blockquote class="callout callout-note"><p class="callout-title">A <em>b</em></p><p>c</p></blockquote>' +
      '<blockquote class="callout callout-tip"><p class="callout-title">tip</p><p>d</p></blockquote>',
  ],
  ["raw HTML is text", '<img src=x onerror="a()">\n<b>b</b>', '<p>&lt;img src=x onerror="a()">\n&lt;b>b&lt;/b></p>'],
  ["comments show nothing", "a <!-- b --> c %%d%%\n\n<!--\n\ne\n-->\nf\n%%\ng\n\n%%", "<p>a  c </p><p>f</p>"],
  ["a comment that is not closed is text", "<!-- a\n\n%% b", "<p>&lt;!-- a</p><p>%% b</p>"],
]);

claims("lists", [
  ["items are tight", "- a\n- b", "<ul><li>a</li><li>b</li></ul>"],
  ["a blank line makes items loose", "- a\n\n- b", "<ul><li><p>a</p></li><li><p>b</p></li></ul>"],
  ["blank lines behind a list do not", "- a\n- b\n\n\nc", "<ul><li>a</li><li>b</li></ul><p>c</p>"],
  ["a number starts a list", "3. a\n4. b\n1) c", '<ol start="3"><li>a</li><li>b</li></ol><ol><li>c</li></ol>'],
  ["zero starts a list", "0. a", '<ol start="0"><li>a</li></ol>'],
  ["another bullet begins another list", "- a\n+ b", "<ul><li>a</li></ul><ul><li>b</li></ul>"],
  ["a tab nests a list", "- a\n\t- b\n\t\t- c\n- d", "<ul><li>a<ul><li>b<ul><li>c</li></ul></li></ul></li><li>d</li></ul>"],
  ["an item holds blocks", "1. a\n   ```\n   b\n   ```\n2. c", "<ol><li>a<pre><code>b</code></pre></li><li>c</li></ol>"],
  ["an item goes on without its indent", "- a\nb\n\nc", "<ul><li>a\nb</li></ul><p>c</p>"],
  ["a year does not begin a list in a sentence", "It was\n1984. Then", "<p>It was\n1984. Then</p>"],
  [
    "a task has a box that nobody can tick",
    "- [x] a\n- [ ] b\n- [y] c",
    '<ul><li class="task"><input type="checkbox" disabled checked aria-label="done"> a</li>' +
      '<li class="task"><input type="checkbox" disabled aria-label="not done"> b</li><li>[y] c</li></ul>',
  ],
]);

claims("tables", [
  [
    "columns are aligned by class",
    "| a | b | c |\n|:--|--:|:-:|\n| d | e | f |",
    '<table><thead><tr><th scope="col">a</th><th scope="col" class="align-right">b</th><th scope="col" class="align-center">c</th></tr></thead>' +
      '<tbody><tr><td>d</td><td class="align-right">e</td><td class="align-center">f</td></tr></tbody></table>',
  ],
  [
    "a short row stays short, a long one is cut",
    "a | b\n-|-\nc\nd | e | f",
    '<table><thead><tr><th scope="col">a</th><th scope="col">b</th></tr></thead>' +
      "<tbody><tr><td>c</td></tr><tr><td>d</td><td>e</td></tr></tbody></table>",
  ],
  [
    "a bar behind a backslash is part of a cell",
    "| a |\n|---|\n| `b\\|c` [[D\\|e]] |",
    '<table><thead><tr><th scope="col">a</th></tr></thead><tbody><tr><td><code>b|c</code> <a href="D" class="wiki">e</a></td></tr></tbody></table>',
  ],
  ["a row that does not match its rule is text", "a | b\n---|---|---", "<p>a | b\n---|---|---</p>"],
]);

claims("inlines", [
  ["emphasis nests", "*a **b*** ***c** d*", "<p><em>a <strong>b</strong></em> <em><strong>c</strong> d</em></p>"],
  ["inner marks belong together", "**a*b*c**", "<p><strong>a<em>b</em>c</strong></p>"],
  ["underscores in words are text", "snake_case_name _a_ __b__", "<p>snake_case_name <em>a</em> <strong>b</strong></p>"],
  ["marks between spaces are text", "2 * 3 * 4, a == b == c", "<p>2 * 3 * 4, a == b == c</p>"],
  ["marks that are not closed are text", "**a *b ~~c ==d `e", "<p>**a *b ~~c ==d `e</p>"],
  ["four marks are decoration", "****a**** ~~~b~~~", "<p>****a**** ~~~b~~~</p>"],
  ["text is struck and highlighted", "~~a~~ ==b==", "<p><del>a</del> <mark>b</mark></p>"],
  ["code is not read", "`*a*` `` b`c `` ` d", "<p><code>*a*</code> <code>b`c</code> ` d</p>"],
  ["a backslash makes a mark text", "\\*a\\* \\[b] \\c", "<p>*a* [b] \\c</p>"],
  ["common entities are read, others are text", "&amp; &lt; &#65; &#x42; &#0; &constructor; &nosuch;", "<p>& &lt; A B \ufffd &constructor; &nosuch;</p>"],
  ["a tag needs a letter and a space before", "#a/b-c #1 x#y `#z` \\#w (#v)", '<p><span class="tag">#a/b-c</span> #1 x#y <code>#z</code> #w (<span class="tag">#v</span>)</p>'],
  ["a picture is its description", "![a *b*](https://x.example/y.png) ![](z)", '<p><span class="image">Image: a b</span> <span class="image">Image</span></p>'],
  ["a footnote leads to its text", "a[^1] b[^2]\n\n[^1]: *c*\n    d", '<p>a<sup><a href="#fn-1" class="footnote-mark">1</a></sup> b[^2]</p><div class="footnote" id="fn-1"><sup>1</sup><p><em>c</em>\nd</p></div>'],
]);

claims("links", [
  ["a path is given as written", '[a](../b.md "c")', '<p><a href="../b.md" class="path" title="c">a</a></p>'],
  ["brackets, parentheses and spaces in angles", "[a [b] c](d(e)f) [g](<h i.md>)", '<p><a href="d(e)f" class="path">a [b] c</a> <a href="h i.md" class="path">g</a></p>'],
  ["the outside opens beside the page", "[a](https://b.example/c)", `<p><a href="https://b.example/c" class="url" ${OUTSIDE}>a</a></p>`],
  ["a reference is found wherever it is defined", '[a][R] [r][] [r] [s]\n\n[r]: b.md "t"', '<p><a href="b.md" class="path" title="t">a</a> <a href="b.md" class="path" title="t">r</a> <a href="b.md" class="path" title="t">r</a> [s]</p>'],
  ["an address stands in angles", "<https://a.example> <mailto:a@b.example>", `<p><a href="https://a.example/" class="url" ${OUTSIDE}>https://a.example</a> <a href="mailto:a@b.example" class="url" ${OUTSIDE}>mailto:a@b.example</a></p>`],
  ["an address ends before the sentence does", "(https://a.example/b_(c)_d).", `<p>(<a href="https://a.example/b_(c)_d" class="url" ${OUTSIDE}>https://a.example/b_(c)_d</a>).</p>`],
  ["no link stands in a link", "[a [b](c) d](e) [https://f.example](g)", '<p>[a <a href="c" class="path">b</a> d](e) <a href="g" class="path"><span>https://f.example</span></a></p>'],
  ["a wikilink has a heading and a label", "[[A]] [[A b#C]] [[A#C|d]] [[#C]] [[]]", '<p><a href="A" class="wiki">A</a> <a href="A b#C" class="wiki">A b > C</a> <a href="A#C" class="wiki">d</a> <a href="#C" class="wiki">C</a> [[]]</p>'],
  ["an embed is a link", "![[a.png|200]]", '<p><a href="a.png" class="wiki">a.png</a></p>'],
  ["a link that is not closed is text", "[a](b [c [[d", "<p>[a](b [c [[d</p>"],
]);

const CITED = { citations: true };
claims("citations", [
  ["marks are text unless asked for", "a [1]", "<p>a [1]</p>"],
  ["each number is a link", "a [1][2] [3, 4].", '<p>a <a href="#source-1" class="citation">[1]</a><a href="#source-2" class="citation">[2]</a> <a href="#source-3" class="citation">[3]</a><a href="#source-4" class="citation">[4]</a>.</p>', CITED],
  ["a number without a source is text", "a [12]", "<p>a <span>[12]</span></p>", CITED],
  ["they win over references", "a [1]\n\n[1]: b.md", '<p>a <a href="#source-1" class="citation">[1]</a></p><p><a href="#source-1" class="citation">[1]</a>: b.md</p>', CITED],
  ["code and escapes keep them", "`[1]` \\[1]", "<p><code>[1]</code> [1]</p>", CITED],
]);

describe("the tree", () => {
  test("front matter is pairs of strings", () => {
    const { frontMatter, blocks } = parse("---\ntags: [a, b]\nalso:\n  - c\n  - d: e\n# no\nempty:\n---\nx");
    assert.deepEqual(frontMatter, [["tags", "[a, b]"], ["also", "c, d: e"], ["empty", ""]]);
    assert.equal(plainText(blocks), "x");
  });

  test("a rule at the start is no front matter", () => {
    for (const text of ["---\na\n---", "---\na: b", " ---\na: b\n---", "\n---\na: b\n---"]) assert.equal(parse(text).frontMatter, null);
  });

  test("front matter is shown as terms", () => {
    assert.equal(show("---\na: <b>\n---"), '<dl class="front-matter"><dt>a</dt><dd>&lt;b></dd></dl>');
  });

  test("plain text has no marks", () => {
    assert.equal(plainText(parse("# A *b*\n- [c](d)\n- `e`\n\n|f|g|\n|-|-|\n|h|[[I]]|")), "A b\nc\ne\nf g\nh I");
  });

  test("a slug is lower case, with letters of any script", () => {
    for (const [heading, slug] of [["A b, C!", "a-b-c"], ["Über 漢字", "über-漢字"], ["?!", "section"]]) assert.equal(slugOf(heading), slug);
  });

  test("levels are shifted as the page asks, and end at six", () => {
    const tree = parse("# a\n##### b");
    assert.equal(write(render(tree, { ...ECHO, headingBase: 3 })), '<h4 id="h-a">a</h4><h6 id="h-b">b</h6>');
  });

  test("a page that links nothing gets labels", () => {
    assert.equal(write(render(parse("[a](b) [[c]]"), { document: fakeDocument })), "<p><span>a</span> <span>c</span></p>");
  });
});

// Places.

const notes = readdirSync(DOCS, { recursive: true })
  .filter((name) => name.endsWith(".md"))
  .map((name) => [name, readFileSync(new URL(name, DOCS), "utf8")]);

const GARDEN = [
  "\uFEFF# Ünï 😀 code", "> quote *a*\nlazy\n>\n> - item\n> \t- deep\n>   more\n", "1. one\n\n\ttabbed\n2. [x] two\n   > inner\n   > > most",
  "a | b\n:-:|-\nc | d\n", "[^n]: note\n    goes on\n", "~~~ js\nlet a\n~~~", "Set\next\n===", "> [!tip] Title\n> body\n\n    indented",
  "%%\ngone\n%% after *it*",
].join("\n\n");

function checkPlaces(text, nodes, from, to, path) {
  let after = from;
  for (const node of nodes) {
    const where = `${path} > ${node.type} at ${node.from}`;
    assert.ok(after <= node.from && node.from <= node.to && node.to <= to, `${where} lies in its parent, behind its sibling`);
    after = node.to;
    const [word] = plainText(node).match(/[\p{L}\p{N}]+/u) ?? [""];
    assert.ok(text.slice(node.from, node.to).toLowerCase().includes(word.toLowerCase()), `${where} holds ${word}`);
    assert.ok(!/^\s/.test(text.slice(node.from, node.to)), `${where} begins with what is seen`);
    checkPlaces(text, (node.children ?? []).filter((child) => child.from !== undefined), node.from, node.to, where);
  }
}

describe("places", () => {
  for (const [name, text] of notes) {
    test(`every block of ${name} is found in its source`, () => {
      const { blocks } = parse(text);
      assert.ok(blocks.length > 1);
      checkPlaces(text, blocks, 0, text.length, name);
    });
  }

  for (const [name, end] of [["LF", "\n"], ["CRLF", "\r\n"], ["CR", "\r"]]) {
    test(`lines may end with ${name}, in all kinds of blocks`, () => {
      const text = GARDEN.replaceAll("\n", end);
      checkPlaces(text, parse(text).blocks, 0, text.length, name);
      assert.equal(show(text), show(GARDEN));
    });
  }

  test("a place is exact, and counts UTF-16 code units", () => {
    const text = "😀\n\n- a\n  > b c\n";
    const [, list] = parse(text).blocks;
    const [item] = list.children;
    const [, quote] = item.children;
    const cut = ({ from, to }) => text.slice(from, to);
    assert.deepEqual([list, item, quote, quote.children[0]].map(cut), ["- a\n  > b c", "- a\n  > b c", "> b c", "b c"]);
  });

  test("elements carry them", () => {
    const [, paragraph] = draw("# a\n\nbc").children;
    assert.deepEqual([paragraph.attributes.get("data-from"), paragraph.attributes.get("data-to")], ["5", "7"]);
  });
});

// Safety.

const ATTRIBUTES = {
  a: ["href", "class", "title", "rel", "target"], blockquote: ["class"], code: ["class"], div: ["class", "id"], dl: ["class"],
  input: ["type", "disabled", "checked", "aria-label"], li: ["class"], ol: ["start"], p: ["class"], span: ["class"],
  td: ["class"], th: ["class", "scope"], br: [], dd: [], del: [], dt: [], em: [], hr: [], mark: [], pre: [], strong: [], sup: [],
  table: [], tbody: [], thead: [], tr: [], ul: [], h2: ["id"], h3: ["id"], h4: ["id"], h5: ["id"], h6: ["id"],
};
const CLASSES = /^(?:wiki|path|url|citation|tag|image|task|front-matter|footnote|footnote-mark|callout-title|align-(?:right|center)|language-[\w+-]+|callout callout-[\w-]+)$/;

function checkHref(href, attributes) {
  const url = new URL(href, "https://page.example/notes/");
  assert.ok(["http:", "https:", "mailto:"].includes(url.protocol), `${href} has a scheme that is followed`);
  const isOutside = url.origin !== "https://page.example";
  assert.ok(!isOutside || /^(?:https?:\/\/|mailto:)/.test(href), `${href} says that it leads outside`);
  assert.equal(attributes.get("rel"), isOutside || /^https?:/.test(href) ? "noopener noreferrer nofollow" : undefined);
}

/** Walks without recursion, so that a tree that is too deep fails by its depth. */
function checkSafe(root) {
  const ids = new Set();
  const waiting = [[root, 0]];
  while (waiting.length > 0) {
    const [node, depth] = waiting.pop();
    assert.ok(depth <= 6 * NESTING_MAX, "the depth is bounded");
    for (const child of node.children) waiting.push([child, depth + 1]);
    if (node.name.startsWith("#")) continue;
    assert.ok(Object.hasOwn(ATTRIBUTES, node.name), `an element ${node.name} is expected`);
    for (const [key, value] of node.attributes) {
      assert.ok(key === "data-from" || key === "data-to" || ATTRIBUTES[node.name].includes(key), `${node.name} may have ${key}`);
      if (key === "class") assert.match(value, CLASSES);
      if (key.startsWith("data-")) assert.match(value, /^\d+$/);
      if (key === "href") checkHref(value, node.attributes);
      if (key !== "id") continue;
      assert.match(value, /^(?:h|fn)-[\p{L}\p{N}_-]+$/u);
      assert.ok(!ids.has(value), `the id ${value} is given once`);
      ids.add(value);
    }
  }
}

const FORBIDDEN = [
  "javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "java\tscript:alert(1)", "java\nscript:alert(1)",
  "\u0001javascript:alert(1)", "java\u0000script:alert(1)", "java script:alert(1)", "javascript&#58;alert(1)",
  "javascript&#x3a;alert(1)", "java&#9;script:alert(1)", "&#1;javascript:alert(1)", "javascript\\:alert(1)",
  "data:text/html,<script>alert(1)</script>", "vbscript:msgbox(1)", "file:///etc/passwd", "blob:https://a/b", "//evil.example",
  "\\\\\\\\evil.example", "/\\evil.example", "/\t/evil.example", "&#47;/evil.example", "view-source:https://a", "ws://evil.example",
  "\u00a0javascript:alert(1)", "\u2028javascript:alert(1)", "feed:javascript:alert(1)", "intent:a", "x-y+z.0:a",
];
const PLACES = [
  (target) => `[x](${target})`, (target) => `[x](<${target}>)`, (target) => `[x]\n\n[x]: ${target}`, (target) => `[x]\n\n[x]: <${target}>`,
  (target) => `<${target}>`, (target) => `[[${target}]]`, (target) => `![[${target}|y]]`, (target) => `![x](${target})`,
  (target) => `[[x#${target}]]`, (target) => target, (target) => `[![x](${target})](${target})`, (target) => `[^x]\n\n[^x]: ${target}`,
];

function hrefsOf(root) {
  return [...(root.attributes.has("href") ? [root.attributes.get("href")] : []), ...root.children.flatMap(hrefsOf)];
}

describe("attacks", () => {
  for (const target of FORBIDDEN) {
    test(`${JSON.stringify(target)} is never followed`, () => {
      for (const place of PLACES) checkSafe(draw(place(target)));
      assert.deepEqual(hrefsOf(draw(`[x](<${target}>)`)), []);
    });
  }

  test("an address that the page answers is looked at too", () => {
    for (const href of FORBIDDEN.filter((target) => !target.includes("&#") && !target.includes("script\\:"))) {
      const answers = { document: fakeDocument, link: () => ({ href }), citation: () => ({ href }) };
      assert.deepEqual(hrefsOf(render(parse("[a](b) [[c]] [1]", CITED), answers)), []);
    }
  });

  for (const text of [
    "<script>alert(1)</script>", "<svg/onload=alert(1)>", "<iframe srcdoc='x'>", "<a href='javascript:a()'>x</a>", "&lt;script&gt;",
    "```\"onload=\"a\n```", "# \"><script>", "# constructor\n# __proto__\n# __proto__", "> [!x\" onclick=\"y] z", "> [!__proto__]",
    "[^\"><x]\n\n[^\"><x]: a\n[^'<]: b", "[__proto__] [constructor][toString]", "[a](b \"\\\" onclick=\\\"c\")", "![\"><script>](x)",
    "|<script>|\n|:-:|\n|<img>|", "---\n__proto__: <script>\nconstructor: x\n---", "[[<img src=x>|<b>]]", "https://a.example/\"onclick=\"b",
    "&constructor; &__proto__; &toString;", "# fn-1\n\n[^1]: a\n\n[^1]: b\n\n[^1.]: c",
  ]) {
    test(`${JSON.stringify(text)} stays text`, () => checkSafe(draw(text)));
  }
});

// Sizes. A quadratic reader would not finish these: there is no clock, only what is shown.

const SIZE = 64 * 1024;
const fill = (piece) => piece.repeat(Math.ceil(SIZE / piece.length));
const UNITS = [
  "[", "![", "[[", "]", "[a](", "[](", "[a](b(", "[x](<", "[x](a \"", "[a][b", "[^", "[1,", "*a ", "**a ", "***a ", "a**", "*a_ ", "a*b", "*a [b",
  "~~a ", "==a ", "`a", "`` ` ", "<", "<!--", "<!--\n", "%%a", "%%\n", "<https://", "http://", "https://a(", "h", "&#", "\\", "#a ", "# a\n",
  "> ", ">", "- ", "1. ", "- a\n", "> a\n", "-\n", "a\n", "a\n-\n", "```\n", "    a\n", "|a|\n|-|\n", "| ", "[a]: b\n", "[^a]: b\n", "- a\n\n", "\t", "\0", "\ud800",
];
const SHAPES = {
  "backticks of all lengths": Array.from({ length: 500 }, (_, length) => "`".repeat(length + 1)).join("a"),
  "a list that goes ever deeper": Array.from({ length: 350 }, (_, depth) => `${" ".repeat(2 * depth)}- a`).join("\n"),
  "emphasis that closes what it opened": fill("*a ") + fill("b* "),
  "marks on both sides of a letter": `${fill("*")}a${fill("*")}`,
  "links that close what they opened": fill("[") + fill("](b)"),
  "spaces between words": `a${fill(" ")}b`,
  "spaces in a link": `[](a${fill(" ")}b`,
  "spaces in a rule": `-${fill(" ")}-x`,
  "marks behind a heading": `# a${fill(" #")}x`,
  "a fence with a mark behind it": `${fill("`")}a\``,
  "many columns with many short rows": `${"|a".repeat(9999)}\n${"|-".repeat(9999)}\n${fill("|a\n")}`,
  "stops behind an address": `https://a${fill(".")}`,
  "front matter without an end": `---\n${fill("a: b\n")}`,
};

describe("sizes", () => {
  for (const [name, text] of [...UNITS.map((unit) => [JSON.stringify(unit), fill(unit)]), ...Object.entries(SHAPES)]) {
    test(`a text full of ${name} is read, and nests no deeper than it may`, () => checkSafe(draw(text, CITED)));
  }

  test("containers beyond the bound are shown as they are written", () => {
    const shown = show(`${"> ".repeat(10000)}a`);
    assert.equal(shown.split("<blockquote>").length - 1, NESTING_MAX);
    assert.ok(shown.includes(`<p>${"> ".repeat(10000 - NESTING_MAX)}a</p>`));
  });

  test("openers beyond the bound are text, and the nearest still close", () => {
    assert.ok(show(`${"[".repeat(1000)}a](b)`).endsWith('[<a href="b" class="path">a</a></p>'));
  });

  test("short rows do not grow to the width of their table", () => {
    const [table] = parse(SHAPES["many columns with many short rows"]).blocks;
    assert.ok(table.children.slice(1).every((row) => row.children.length === 1));
  });
});

describe("any text", () => {
  test("every beginning of a text can be shown while it grows", () => {
    for (let end = 0; end <= GARDEN.length; end += 1) checkSafe(draw(GARDEN.slice(0, end), CITED));
  });

  test("ten thousand strings of marks are shown and are safe", () => {
    const seed = Number(process.env.SEED ?? 20240229);
    console.log(`seed ${seed}`);
    const pieces = [..."*_~=`[]()<>!#|-+:.\\&\"'%^ \t\n\nabh1é\0", "\ud800", "😀", "\r\n", "    ", "[[", "]]", "](", "> ", "- ", "1. ", "```", "---\n", "[^1]",
      "[^1]: ", "[a]: ", "https://", "javascript:", "<!--", "-->", "%%", "&#58;", "[!x]", "|-|", "[x] ", "\u2028", "__proto__"];
    let state = seed;
    const below = (bound) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * bound);
    };
    for (let round = 0; round < 10000; round += 1) {
      const text = Array.from({ length: below(40) }, () => pieces[below(pieces.length)]).join("");
      const tree = parse(text, { citations: round % 2 === 0 });
      try {
        checkSafe(render(tree, ECHO));
        for (const block of tree.blocks) assert.ok(block.from >= 0 && block.from <= block.to && block.to <= text.length);
      } catch (error) {
        error.message = `${JSON.stringify(text)}: ${error.message}`;
        throw error;
      }
    }
  });
});
