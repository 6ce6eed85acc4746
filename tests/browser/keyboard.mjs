// Without a mouse: everything is reached by Tab, seen to be reached, and done by keys.

import { readFileSync } from "node:fs";
import path from "node:path";

import { by } from "./claims.mjs";
import { Oneloop } from "./servers.mjs";
import { Person, close } from "./tabs.mjs";

const holds = by("keyboard");
const server = await Oneloop.start("keyboard");
const person = await Person.come(server);
const tab = await person.open("#/tasks");
const { keyboard } = tab.page;

/** Where the focus is: what it is on, and whether one sees it there. */
const focus = () => tab.page.evaluate(() => {
  const node = document.activeElement;
  if (node === document.body) return { name: "nothing", isSeen: false };
  const { outlineStyle, outlineWidth } = getComputedStyle(node);
  const box = node.getBoundingClientRect();
  const isWithin = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  return {
    name: node.getAttribute("aria-label") || node.labels?.[0]?.innerText || node.innerText || node.getAttribute("placeholder") || node.id,
    role: node.tagName.toLowerCase(),
    isSeen: isWithin && node.matches(":focus-visible") && outlineStyle !== "none" && parseFloat(outlineWidth) >= 2,
    id: node.id,
  };
});

const unseen = [];

/** Presses Tab until the focus is on what is wanted, and notes where it is not seen on the way. */
async function reach(wanted, key = "Tab") {
  const way = [];
  for (let count = 0; count < 120; count += 1) {
    await keyboard.press(key);
    const now = await focus();
    if (!now.isSeen && now.name !== "nothing") unseen.push(now);
    way.push(now.name);
    if (wanted.test(now.name) || wanted.test(now.id)) return true;
  }
  await holds(`${wanted} is reached by ${key}`, false, way);
  return false;
}

/** The focus is on something, once a view has changed. */
const isKept = () => tab.until(() => document.activeElement !== document.body && document.activeElement?.isConnected);

// --- From the top ---

await tab.sees("#tasks", "Nothing was asked so far.");
await keyboard.press("Tab");
await holds("the first Tab leads to the way past the head", (await focus()).name === "Skip to the content", await focus());
await holds("which is then seen", (await focus()).isSeen, await focus());
const names = [];
for (let count = 0; count < 6; count += 1) {
  await keyboard.press("Tab");
  names.push((await focus()).name.trim());
}
await holds("the views come next", names.join() === "oneloop,Ask,Notes,Graph,Tasks,Status", names);
await reach(/^Ask something\.$/);
await keyboard.press("Enter");
await holds("the view of questions has the focus where one types", tab.until(() => document.activeElement.id === "question"));
await tab.find(".skip").focus();
await keyboard.press("Enter");
await holds("the way past the head leads past it", tab.until(() => document.activeElement.id === "content"));

// --- Ask, look at a source, come back ---

await reach(/^question$/);
await keyboard.type("How are tomatoes watered?");
await keyboard.press("Enter");
await tab.isAnswered();
await holds("the focus stays with the next question", (await focus()).id === "question", await focus());
await reach(/^\[1\]$/, "Shift+Tab");
await keyboard.press("Enter");
await tab.at(/^#\/note\//);
await holds("a citation is opened by Enter, and the focus is on its passage",
  tab.until(() => document.activeElement.classList.contains("passage")));
await keyboard.press("Tab");
await holds("from there Tab goes on within the note", tab.until(() => document.activeElement.closest("#note") !== null));
// The browser's own key for it is the business of its window, which is not there.
await tab.page.goBack();
await holds("the way back leads to the answer", [tab.at(/^#\/ask\//), tab.sees(".exchange .answer", "every second morning"), isKept()]);
await reach(/^Ask again$/, "Shift+Tab");
await keyboard.press("Enter");
await holds("buttons of an answer are pressed by keys", tab.until(() => document.querySelectorAll(".exchange").length === 2));
await tab.isAnswered();

// --- Edit and save ---

await keyboard.press("Control+k");
await tab.until(() => document.activeElement.id === "search");
await keyboard.type("hives");
await tab.sees("#search-results li", "Bees");
await keyboard.press("Enter");
await holds("a note is searched and opened by keys", [tab.at(/^#\/note\/garden\/bees\.md/), isKept()]);
await tab.sees("#note .note", "hives");
await reach(/^Edit$/, "Shift+Tab");
await keyboard.press("Enter");
await tab.until(() => document.activeElement.id === "editor");
await keyboard.press("Control+End");
await keyboard.type("\nThey like lime.\n");
await keyboard.press("Tab");
await holds("Tab leaves the editor", tab.until(() => document.activeElement.id !== "editor"));
await keyboard.press("Control+s");
await holds("it is saved by keys", [tab.at(/^#\/note\/garden\/bees\.md$/), tab.sees(".note", "They like lime."), isKept()]);
await holds("and is on the disk", readFileSync(path.join(server.notes, "garden/bees.md"), "utf8").endsWith("\nThey like lime.\n"));

// --- Dialogs ---

await reach(/^Requests$/, "Shift+Tab");
await keyboard.press("Enter");
await holds("a dialog takes the focus", tab.until(() => document.activeElement.closest("dialog[open]") !== null));
await keyboard.press("Escape");
await holds("and gives it back", tab.until(() => document.activeElement.id === "show-requests"));
await reach(/^theme$/);
await keyboard.press("Enter");
await holds("the theme is changed by keys", (await tab.page.evaluate(() => document.documentElement.style.colorScheme)) === "light");

// --- All views ---

for (const [view, section] of [["Notes", "notes"], ["Graph", "graph"], ["Tasks", "tasks"], ["Status", "status"], ["Ask", "ask"]]) {
  await tab.find(`.top nav a[href="#/${section}"]`).focus();
  await keyboard.press("Enter");
  await tab.find(`#${section} h1`).first().waitFor({ state: "attached" });
  // Until something has come there is nothing to walk through.
  await tab.find(`#${section} :is(a, button, textarea)`).locator("visible=true").first().waitFor();
  await holds(`${view}: the focus is not lost when the view changes`, isKept(), await focus());
  await holds(`${view}: it is in the view, or at its top`, tab.until((id) => document.activeElement.id === "content" || document.getElementById(id).contains(document.activeElement), section));
  // Once round: from the top of the view through all of it.
  const seen = new Set();
  for (let count = 0; count < 150; count += 1) {
    await keyboard.press("Tab");
    const now = await focus();
    if (now.name === "nothing" || now.name === "Skip to the content") break;
    if (!now.isSeen) unseen.push({ view, ...now });
    seen.add(now.name);
  }
  await holds(`${view}: Tab goes through it and leaves it`, seen.size > 1 && seen.size < 140, [...seen]);
}
await holds("the focus is seen wherever it is", unseen.length === 0, unseen);

// --- The graph ---

await tab.go("#/graph/garden/tomatoes.md");
await tab.find("#graph-panel li").first().waitFor();
await reach(/^Compost$/);
await keyboard.press("Enter");
await holds("the graph's list walks on by keys", [tab.at(/^#\/graph\/garden\/compost\.md/), tab.until(() => document.activeElement.id === "graph-chosen")]);
await tab.sees("#graph-chosen", /^Compost$/);
await tab.find("#graph-canvas").focus();
// Where the others stand is the layout's to say: one of the four ways leads to one of them.
for (const key of ["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"]) {
  await keyboard.press(key);
  if ((await tab.find("#graph-chosen").innerText()) !== "Compost") break;
}
await holds("and arrow keys choose in its picture", (await tab.find("#graph-chosen").innerText()) !== "Compost");

await holds("nothing was complained of", person.left.length === 0, person.left);
await close();
