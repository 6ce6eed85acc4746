// Pictures of every view, in light and in the dark, on a desktop and on a telephone, into the folder SCREENSHOTS.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

import { ScriptedModel } from "./model.mjs";
import { Oneloop } from "./servers.mjs";
import { Person, DESKTOP, PHONE, close } from "./tabs.mjs";

const FOLDER = process.env.SCREENSHOTS;
mkdirSync(FOLDER, { recursive: true });
const model = await ScriptedModel.start();
const server = await Oneloop.start("screenshots", { flags: [...model.flags, "--writes", "all"] });
const person = await Person.come(server);
let tab = await person.open();

async function answered(question, answer, isNew = true) {
  if (isNew) await tab.go("#/ask/new");
  await tab.until((isFresh) => !isFresh || document.querySelectorAll(".exchange").length === 0, isNew);
  await tab.ask(question);
  (await model.asked()).answer(answer);
  await tab.isAnswered();
  return tab.page.evaluate(() => location.hash);
}

await answered("Where do the hives stand?", "Behind the old pear tree [1].");
await answered("What opens the shed?", "The key that hangs behind the blue door [1].");
const conversation = await answered("How are tomatoes watered?",
  "Tomatoes are watered **every second morning** [1]:\n\n- at the root,\n- never on the leaves.\n\nMatina is ripe in July, ox heart in August [2].");
await answered("And what feeds them?", "Compost feeds them. Its heap is turned every third week with the long fork [1]; it is ripe when it smells of forest [1].", false);
await server.post("/chat", { message: "Note: the kettle boils at 96 degrees.", strategy: "notes" });
await server.post("/chat", { message: "Remember that the spade is lent to the neighbours until May.", strategy: "notes" });

await tab.go("#/ask/new");
await tab.until(() => document.querySelectorAll(".exchange").length === 0);
await tab.ask("How is coffee brewed in this house?");
const running = await model.asked();
running.tokens("Coffee is brewed with **60 grams** to the litre [1], at ");
await tab.sees(".exchange .answer", "60 grams to the litre");
const writing = await tab.page.evaluate(() => location.hash);

/** What a view is called, where it is, what must be there before the picture, and what is done before it. */
const VIEWS = [
  ["ask", "#/ask/new", "#welcome:not(:empty)"],
  ["conversation", conversation, ".exchange:nth-child(2) .by"],
  ["writing", writing, ".exchange .working"],
  ["notes", "#/notes", "#note h1", () => tab.find("#tree summary", { hasText: "garden" }).click()],
  ["note", "#/note/garden/tomatoes.md", "#note .backlinks li"],
  ["passage", "#/note/kitchen/coffee.md?line=3", ".passage"],
  ["search", "#/notes?search=long fork", "#search-results li"],
  ["missing", "#/note/Seeds.md", "#note h1"],
  ["edit", "#/edit/garden/compost.md", "#editor"],
  ["new-note", "#/new-note", "#new-path"],
  ["conflict", "#/edit/garden/bees.md", "#editor", async () => {
    await tab.find("#editor").fill("# Bees\n\nThe hives stand behind the old pear tree. Honey is taken in early August.\n");
    writeFileSync(path.join(server.notes, "garden/bees.md"), `# Bees\n\nThe hives stand behind the young pear tree. Honey is taken in late July.\n\nSeen ${performance.now()}.\n`);
    await server.sync();
    await tab.named("button", "Save").click();
    await tab.find(".conflict").waitFor();
  }],
  ["changes", "#/changes", ".change"],
  ["graph", "#/graph", "#graph-panel li"],
  ["graph-of-a-note", "#/graph/garden/tomatoes.md?depth=2", "#graph-panel li"],
  ["tasks", "#/tasks", ".task"],
  ["status", "#/status", ".status-cards dd:not(:empty)"],
  ["requests", "#/tasks", ".task", () => tab.named("button", "Requests").click()],
];

for (const [device, viewport] of [["1280", DESKTOP], ["390", PHONE]]) {
  for (const colorScheme of ["light", "dark"]) {
    const visitor = await Person.come(server, { viewport, colorScheme, reducedMotion: "reduce", ...(device === "390" ? { isMobile: true, hasTouch: true } : {}) });
    tab = await visitor.open();
    for (const [name, address, mark, make] of VIEWS) {
      await tab.page.goto("about:blank");
      await tab.page.goto(`${server.url}/${address}`);
      await tab.find(mark).first().waitFor();
      await make?.();
      // What was changed last is on the screen behind the second frame.
      await tab.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
      await tab.page.screenshot({ path: path.join(FOLDER, `${name}-${device}-${colorScheme}.png`) });
    }
    await visitor.context.close();
  }
}
console.log(`pictures of ${VIEWS.length} views are in ${FOLDER}`);
await close();
