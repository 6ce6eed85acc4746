// Notes, answers, questions and names that are written to do harm. All of it is text, and stays text.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

import { by } from "./claims.mjs";
import { ScriptedModel } from "./model.mjs";
import { Oneloop } from "./servers.mjs";
import { Person, close } from "./tabs.mjs";

const holds = by("hostile");

/** Each would set `window.ran`, bend the page, or ask somebody else, if it were more than text. */
const HARM = [
  "<script>window.ran = 'script'</script>",
  "<img src=x onerror=\"window.ran = 'img'\">",
  "<svg onload=\"window.ran = 'svg'\"><script>window.ran = 'svg script'</script></svg>",
  "<style>body { display: none }</style>",
  "<link rel=stylesheet href=//127.0.0.2:9/x.css>",
  "<div style=\"position:fixed;inset:0;background:red\">over all</div>",
  "<iframe srcdoc=\"<script>parent.ran = 'iframe'</script>\"></iframe>",
  "<a href=\"javascript:window.ran = 'a'\">an anchor</a>",
  "<form action=//127.0.0.2:9/><button>send</button></form>",
  "<base href=//127.0.0.2:9/>",
  "<meta http-equiv=refresh content=\"0;url=//127.0.0.2:9/\">",
  "<object data=//127.0.0.2:9/></object><embed src=//127.0.0.2:9/>",
  "</div></main></body>",
  "<!-- <script>window.ran = 'comment'</script> -->",
  "[a](javascript:window.ran='link')",
  "[b](JaVaScRiPt:window.ran='case')",
  "[c](java\tscript:window.ran='tab')",
  "[d]( javascript:window.ran='space')",
  "[e](\u0001javascript:window.ran='control')",
  "[f](javascript&colon;window.ran='entity')",
  "[g](&#106;avascript:window.ran='number')",
  "[h](<javascript:window.ran='angle'>)",
  "[i](data:text/html,<script>window.ran='data'</script>)",
  "[j](vbscript:window.ran='vb')",
  "[k](//127.0.0.2:9/elsewhere)",
  "[l](file:///etc/passwd)",
  "[m](blob:x) [n](view-source:x) [o](filesystem:x)",
  "[p](https://127.0.0.2:9/\" onmouseover=\"window.ran='quote')",
  "[q]",
  "![r](http://127.0.0.2:9/picture.png)",
  "![s](x\" onerror=\"window.ran='picture')",
  "[[javascript:window.ran='wiki']]",
  "[[javascript:alert(1)|t]]",
  "[[#\"><img src=x onerror=window.ran='heading'>]]",
  "![[<img src=x onerror=window.ran='embed'>]]",
  "<javascript:window.ran='auto'>",
  "javascript:window.ran='bare'",
  "http://127.0.0.2:9/<script>window.ran='address'</script>",
  "[^x]: <img src=x onerror=\"window.ran='footnote'\">",
  "`<img src=x onerror=\"window.ran='code'\">`",
  "| <img src=x onerror=\"window.ran='cell'\"> | b |\n|---|---|\n| <script>window.ran='cell'</script> | c |",
  "```\"><script>window.ran='info'</script>\n</code></pre><script>window.ran='fence'</script>\n```",
  "> [!\"><img/src=x/onerror=window.ran='callout'>] title <b>bold</b>",
  "## <img src=x onerror=\"window.ran='h2'\"> {#id onclick=x}",
  "## constructor\n\n## __proto__\n\n## content",
  "#tag<img/src=x/onerror=window.ran='tag'>",
  "- [ ] <input autofocus onfocus=\"window.ran='focus'\">",
  "\u202eright to left\u202c and \u0000 nothing, \u2028 a line, \ufeff a mark",
  "[q]: javascript:window.ran='definition'",
];
const TEXT = HARM.join("\n\n");
/** What must be read as it was written: no mark of ours is in it. */
const AS_WRITTEN = ["<script>window.ran = 'script'</script>", "<svg onload=\"window.ran = 'svg'\">", "<style>body { display: none }</style>",
  "<div style=\"position:fixed;inset:0;background:red\">over all</div>", "</div></main></body>"];
const NAME = "a <b>&\"'#?100% name.md";
const TITLE = "<img src=x onerror=\"window.ran=1\"> & <b>";

const model = await ScriptedModel.start();
const server = await Oneloop.start("hostile", { flags: [...model.flags, "--writes", "all"] });
mkdirSync(path.join(server.notes, "<i>folder&"));
writeFileSync(path.join(server.notes, "<i>folder&", NAME),
  `---\ntitle: '${TITLE}'\ntags: ["<script>window.ran = 'tag'</script>"]\n"<b>key</b>": "<img src=x onerror=window.ran='front'>"\n---\n\n${TEXT}\n\nThe zeppelin lands on Friday.\n`);
writeFileSync(path.join(server.notes, "linking.md"), `# Linking\n\nTo [it](<${encodeURIComponent("<i>folder&")}/${encodeURIComponent(NAME)}>), and a zeppelin.\n`);
await server.sync();
const person = await Person.come(server);
const tab = await person.open();

/** What of the page is not ours: elements, attributes and addresses that no text may bring in. */
const foreign = () => tab.page.evaluate(() => {
  const ELEMENTS = new Set(`A ARTICLE ASIDE BLOCKQUOTE BODY BR BUTTON CANVAS CODE DD DEL DETAILS DIALOG DIV DL DT EM FIGCAPTION FIGURE
    FORM H1 H2 H3 H4 H5 H6 HEAD HEADER HR HTML IMG INPUT LABEL LI LINK MAIN MARK META NAV NOSCRIPT OL OPTION P PRE PROGRESS
    SCRIPT SECTION SELECT SPAN STRONG SUMMARY SUP TABLE TBODY TD TEXTAREA TH THEAD TIME TITLE TR UL`.split(/\s+/));
  const ATTRIBUTES = /^(aria-[a-z]+|class|checked|data-(from|to|category|task|drawn|id)|datetime|disabled|for|hidden|href|id|maxlength|name|open|placeholder|rel|required|role|rows|scope|selected|spellcheck|start|tabindex|target|title|type|value|width|height|autocomplete|method|alt|src|lang|charset|content)$/;
  const wrong = [];
  for (const node of document.querySelectorAll("*")) {
    if (node.namespaceURI !== "http://www.w3.org/1999/xhtml") { wrong.push(node.outerHTML); continue; }
    if (!ELEMENTS.has(node.tagName)) wrong.push(node.outerHTML.slice(0, 200));
    for (const { name } of node.attributes) {
      // Two are styled by our own scripts: the theme, and the canvas, whose colours are asked for in this way.
      const isStyle = name === "style" && (node === document.documentElement || node.id === "graph-canvas")
        && [...node.style].every((property) => ["color-scheme", "color", "cursor"].includes(property));
      if (!ATTRIBUTES.test(name) && !isStyle) wrong.push(`${name} of ${node.outerHTML.slice(0, 200)}`);
    }
    if (node.matches("img") && node.getAttribute("src") !== "/page/icon.svg") wrong.push(node.outerHTML);
    if (node.matches("script") && node.getAttribute("src") !== "/page/main.mjs") wrong.push(node.outerHTML);
    if (node.matches("[href]") && !["http:", "https:", "mailto:"].includes(node.protocol ?? "http:")) wrong.push(node.outerHTML);
    if (node.matches("a") && node.origin !== location.origin && (node.target !== "_blank" || !/noopener/.test(node.rel))) wrong.push(node.outerHTML);
    const isOurs = /^(h-|fn-|[0-9a-f-]{36}-)/.test(node.id);
    if (node.closest(".answer") && node.id && !isOurs) wrong.push(`the id ${node.id}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  const twice = ids.filter((id, at) => ids.indexOf(id) !== at);
  return [...wrong, ...twice.map((id) => `two with the id ${id}`), ...(window.ran === undefined ? [] : [`${window.ran} ran`])];
});

/** What was written stands there, and is text. */
async function isText(where, selector) {
  await tab.find(selector).last().waitFor();
  const text = await tab.find(selector).last().evaluate((node) => node.textContent);
  await holds(`${where}: it is shown as it was written`, AS_WRITTEN.every((part) => text.includes(part)), text);
  const wrong = await foreign();
  await holds(`${where}: there is no element, attribute or address but ours, and nothing ran`, wrong.length === 0, wrong);
}

// --- As a note ---

await tab.go("#/notes");
await tab.find("#tree summary", { hasText: "<i>folder&" }).click();
await tab.find("#tree a", { hasText: TITLE }).click();
await isText("a note", "#note .note");
await holds("a note: its title is text, also of the tab", [tab.until((title) => document.title === `${title} · oneloop`, TITLE)], await tab.page.title());
await holds("a note: its path is text", (await tab.find("#note .path").first().textContent()) === `<i>folder&/${NAME}`);
await holds("a note: who links to it is found by a name that is full of marks", tab.sees(".backlinks li", "Linking"));
const rect = await tab.find(".top").boundingBox();
await holds("a note: nothing lies over the page", (await tab.page.evaluate(({ x, y }) => document.elementFromPoint(x + 5, y + 5).closest(".top") !== null, rect)));
const links = tab.find("#note .note a[href^='#/link/']");
for (let at = 0, count = await links.count(); at < count; at += 1) {
  await links.nth(at).evaluate((link) => link.click());
  await tab.named("heading", "No such note").waitFor();
  const wrong = await foreign();
  if (wrong.length > 0) await holds("a note: its links are looked up as names", false, wrong);
  await tab.page.goBack();
  await tab.find("#note .note").waitFor();
}
await holds("a note: its links are looked up as names, and found to be none", (await foreign()).length === 0);
await tab.find("#note").getByRole("link", { name: "Edit" }).click();
await tab.find("#editor").waitFor();
await isText("a preview", ".editor .answer");
await tab.find("#editor").press("End");
await tab.find("#editor").pressSequentially(" ");
await tab.named("button", "Save").click();
await holds("a note: a name that is full of marks is written to", tab.at(/^#\/note\//));
await tab.find("#search").fill("zeppelin window.ran");
await tab.find("#search-results li").first().waitFor();
await holds("what a search finds of it is text", (await foreign()).length === 0, await foreign());
await tab.find("#search").fill("");
await tab.go(`#/graph/${encodeURIComponent("<i>folder&")}/${encodeURIComponent(NAME)}`);
await tab.find("#graph-panel h3").first().waitFor();
await holds("its place in the graph is text", (await foreign()).length === 0, await foreign());

// --- As an answer, a question, and everything that tells of them ---

await tab.go("#/ask/new");
await tab.ask(`When does the zeppelin land?\n${TEXT}`);
(await model.asked()).answer(`${TEXT}\n\nOn Friday [1].`);
await tab.isAnswered();
await isText("an answer", ".exchange .answer");
await isText("a question", ".exchange h2");
await tab.find("#source-list li").first().waitFor();
await holds("a source is text", (await foreign()).length === 0, await foreign());
await holds("a question names its conversation, as text", tab.sees("#conversation-list .name", /^When does the zeppelin land\? <script>/));
await tab.named("link", "Tasks").click();
await holds("and its task", [tab.sees(".task .name", "<script>window.ran = 'script'</script>"), (await foreign()).length === 0], await foreign());
await tab.named("button", "Requests").click();
await holds("and what was asked of the server", (await foreign()).length === 0, await foreign());
await tab.page.keyboard.press("Escape");

await tab.go("#/ask/new");
await tab.ask("Keep this, please.");
const reply = await model.asked();
reply.calls("create_note", { title: "<img src=x onerror=window.ran=1>", content: TEXT });
(await model.asked()).answer("It is kept.");
await tab.isAnswered();
await holds("what an agent writes is told as text", [tab.sees(".change", "onerror"), (await foreign()).length === 0], await foreign());

// --- As an address, and as what a server says ---

for (const view of ["#/note/<img src=x onerror=window.ran=1>.md", "#/ask/<script>window.ran=1</script>", "#/task/javascript:window.ran=1", "#/link/wiki/javascript%3Awindow.ran%3D1",
  "#/notes?search=<svg onload=window.ran=1>", "#/new-note?path=<img src=x onerror=window.ran=1>.md", "#/graph/<script>", "#/note/%E0%A4%A", "#/constructor", "#/__proto__/x"]) {
  const again = person.tolerates(/^console: Failed to load resource: the server responded with a status of (400|404|422)/);
  await tab.page.goto("about:blank");
  await tab.page.goto(`${server.url}/${view}`);
  await tab.find("main").waitFor();
  await tab.until(() => document.querySelector(".view:not([hidden]) :is(h1, .problem)"));
  const wrong = await foreign();
  await holds(`the address ${view} does no harm`, wrong.length === 0, wrong);
  again();
}

await holds("nothing was complained of, and nobody else was asked", person.left.length === 0, person.left);
await close();
