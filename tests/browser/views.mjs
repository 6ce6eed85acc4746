// Every view as anybody may meet it: on a telephone, in the dark, without movement, by ear.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import { by } from "./claims.mjs";
import { ScriptedModel } from "./model.mjs";
import { Oneloop } from "./servers.mjs";
import { Person, DESKTOP, PHONE, close } from "./tabs.mjs";

const AXE = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");

const model = await ScriptedModel.start();
const server = await Oneloop.start("views", { flags: model.flags });
const person = await Person.come(server);
const tab = await person.open();

// --- What the views show ---

await tab.ask("How are tomatoes watered?");
(await model.asked()).answer("Every *second* morning [1]:\n\n1. at the root\n2. **never** on the leaves\n\n| sort | ripe |\n|---|---|\n| Matina | July |\n\n```sh\nwater --at root --every 2d --never-on leaves --and-this-line-is-wider-than-any-telephone-that-was-ever-made\n```\n\n> A quote. The moon is made of 27 cheeses [1].");
await tab.isAnswered();
await tab.ask("And the compost?");
(await model.asked()).answer("Every third week [2]. Averylongwordthatdoesnotendanywherenearthesideofatelephoneandthatmustbebrokensomewhereinthemiddle.");
await tab.isAnswered();
const conversation = await tab.page.evaluate(() => location.hash);
await server.post("/chat", { message: "Note: the kettle boils at 96 degrees.", strategy: "notes" });

/** What a view is called, where it is, and what must be there before it is looked at. */
const VIEWS = [
  ["Ask", "#/ask/new", "#welcome:not(:empty)"],
  ["a conversation", conversation, ".exchange:nth-child(2) .by"],
  ["Notes", "#/notes", "#note h1"],
  ["a note", "#/note/garden/tomatoes.md", "#note .backlinks li"],
  ["a note with two titles", "#/note/house/journal.md", "#note .backlinks p"],
  ["a passage", "#/note/kitchen/coffee.md?line=3", ".passage"],
  ["a search", "#/notes?search=long fork", "#search-results li"],
  ["a note that is not there", "#/note/nobody.md", "#note h1"],
  ["the editor", "#/edit/garden/tomatoes.md", "#editor"],
  ["a new note", "#/new-note", "#new-path"],
  ["what the agent wrote", "#/changes", ".change"],
  ["Graph", "#/graph", "#graph-panel li"],
  ["the graph of a note", "#/graph/garden/tomatoes.md?depth=2", "#graph-panel li"],
  ["Tasks", "#/tasks", ".task"],
  ["Status", "#/status", ".status-cards dd:not(:empty)"],
];

/** What is not a view: it is made in one. */
const STATES = [
  ["the dialog of requests", "#/tasks", async () => {
    await tab.named("button", "Requests").click();
    await tab.find("#requests[open] li").first().waitFor();
  }],
  ["a question before something is deleted", "#/note/garden/bees.md", async () => {
    await tab.named("button", "Delete", { exact: true }).click();
    await tab.find("#question-dialog[open]").waitFor();
  }],
  ["a conflict", "#/edit/garden/bees.md", async () => {
    const file = path.join(server.notes, "garden/bees.md");
    await tab.find("#editor").fill("# Bees\n\nMine.\n");
    writeFileSync(file, `# Bees\n\nTheirs, ${performance.now()}.\n`);
    await server.sync();
    await tab.named("button", "Save").click();
    await tab.find(".conflict").waitFor();
  }],
  ["an answer that is being written", "#/ask/new", async () => {
    await tab.ask(`How much honey is taken in ${performance.now()}?`);
    const reply = await model.asked();
    reply.tokens("A **third** ", "is ");
    await tab.reads("A third is");
    return async () => {
      reply.end();
      await tab.isAnswered();
    };
  }],
];

const tolerated = [
  person.tolerates(/^console: Failed to load resource: the server responded with a status of (404|412)/),
];

/** Goes through all of them, each in a page that is loaded anew, and has each looked at. */
async function each(look) {
  for (const [name, address, mark] of VIEWS) {
    await arrive(address);
    await tab.find(mark).first().waitFor();
    await look(name);
  }
  for (const [name, address, make] of STATES) {
    await arrive(address);
    const leave = await make();
    await look(name);
    await leave?.();
    await tab.page.keyboard.press("Escape");
  }
}

async function arrive(address) {
  await tab.page.goto("about:blank");
  await tab.page.goto(`${server.url}/${address}`);
}

// --- By rule ---

/** All rules, best practices among them, and the one for the size of what is pressed, which is off unless it is asked for. */
const OPTIONS = { rules: { "target-size": { enabled: true } }, resultTypes: ["violations"] };

async function violations() {
  if (!(await tab.page.evaluate(() => "axe" in window))) await tab.page.evaluate(AXE);
  const found = await tab.page.evaluate(async (options) => (await window.axe.run(document, options)).violations, OPTIONS);
  return found.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map(({ html, failureSummary }) => `${html.slice(0, 300)}\n    ${failureSummary}`) }));
}

/** Looks at what is shown in both lights; answers what is wrong. */
async function inBothLights(look) {
  const wrong = [];
  for (const colorScheme of ["light", "dark"]) {
    await tab.page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    wrong.push(...(await look()).map((one) => [colorScheme, one]));
  }
  return wrong;
}

// --- By measure ---

/** What cannot be reached: what lies beyond the sides, or below something else wherever one scrolls to. */
const unreachable = () => tab.page.evaluate(() => {
  const root = document.documentElement;
  const wrong = [];
  if (root.scrollWidth > root.clientWidth) {
    const wide = [...document.querySelectorAll("body *")].filter((node) => node.getBoundingClientRect().right > root.clientWidth + 1);
    wrong.push(`it scrolls sideways: ${root.scrollWidth} of ${root.clientWidth}: ${wide.slice(0, 3).map((node) => node.outerHTML.slice(0, 150)).join("\n")}`);
  }
  const layer = document.querySelector("dialog[open]") ?? document;
  for (const node of layer.querySelectorAll("a[href], button, input, select, textarea, summary")) {
    if (!node.checkVisibility({ visibilityProperty: true }) || node.disabled || node.matches(".skip")) continue;
    node.scrollIntoView({ block: "center", inline: "nearest", behavior: "instant" });
    const boxes = [...node.getClientRects()].filter(({ width, height }) => width > 0 && height > 0);
    const isHit = boxes.some((box) => {
      const hit = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
      return hit && (node.contains(hit) || hit.closest("label")?.contains(node));
    });
    if (!isHit) wrong.push(`out of reach: ${node.outerHTML.slice(0, 200)}`);
  }
  scrollTo({ top: 0, behavior: "instant" });
  return wrong;
});

// --- By ear ---

/** What a screen reader is told of landmarks and headings. */
async function landmarks() {
  const session = await person.context.newCDPSession(tab.page);
  const { nodes } = await session.send("Accessibility.getFullAXTree");
  await session.detach();
  const heard = nodes.filter((node) => !node.ignored);
  const names = (role) => heard.filter((node) => node.role?.value === role).map((node) => node.name?.value ?? "");
  const levels = heard.filter((node) => node.role?.value === "heading")
    .map((node) => ({ name: node.name?.value, level: node.properties?.find(({ name }) => name === "level")?.value.value }));
  return { banners: names("banner"), mains: names("main"), navigations: names("navigation"), levels };
}

function wrongWithLandmarks({ banners, mains, navigations, levels }, isDialog) {
  // Whatever lies below a dialog is not there until it is closed.
  if (isDialog) return [];
  const firsts = levels.filter(({ level }) => level === 1);
  return [
    banners.length === 1 ? "" : `banners: ${banners.length}`,
    mains.length === 1 ? "" : `mains: ${mains.length}`,
    navigations.includes("Views") && new Set(navigations).size === navigations.length ? "" : `navigations: ${navigations}`,
    firsts.length === 1 && firsts[0].name ? "" : `headings of the first level: ${JSON.stringify(firsts)}`,
  ].filter(Boolean);
}

await each(async (name) => {
  const isDialog = (await tab.find("dialog[open]").count()) > 0;
  const unheard = wrongWithLandmarks(await landmarks(), isDialog);
  await by("ear")(`${name}: has its landmarks, and one heading of the first level`, unheard.length === 0, unheard);
  for (const [device, viewport] of [["desktop", DESKTOP], ["telephone", PHONE]]) {
    await tab.page.setViewportSize(viewport);
    const broken = await inBothLights(violations);
    await by("axe")(`${name}, on a ${device}, in light and in the dark: no rule is broken`, broken.length === 0, JSON.stringify(broken, null, 2).replaceAll("\\n", "\n"));
    const moving = await tab.page.evaluate(() => document.getAnimations().length);
    await by("calm")(`${name}, on a ${device}: nothing moves for those who want no movement`, moving === 0, moving);
  }
  const out = await unreachable();
  await by("telephone")(`${name}: does not scroll sideways, and all of it is in reach`, out.length === 0, out.join("\n"));
  await tab.page.setViewportSize(DESKTOP);
});
tolerated.forEach((again) => again());

// --- The controls ---

await tab.page.emulateMedia({ colorScheme: "light", reducedMotion: "no-preference" });
await tab.go("#/ask/new");
await tab.ask("What stands in the shed?");
const reply = await model.asked();
reply.tokens("Spades");
await tab.reads("Spades");
await by("calm")("for all others, what is at work is seen to be", (await tab.page.evaluate(() => document.getAnimations().length)) > 0);
reply.end();
await tab.isAnswered();
await tab.page.evaluate(() => {
  document.getElementById("content").append(Object.assign(document.createElement("img"), { src: "/page/icon.svg" }), document.createElement("button"));
});
await by("axe")("a picture and a button without names are found", (await violations()).map(({ id }) => id).sort().join().includes("button-name,image-alt"), await violations());

await by("views")("nothing was complained of", person.left.length === 0, person.left);
await close();
