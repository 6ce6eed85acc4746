// What the agent writes: it is shown, stands in a list, and can be taken back.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import { by } from "./claims.mjs";
import { Oneloop } from "./servers.mjs";
import { Person, close } from "./tabs.mjs";

const holds = by("writes");
const server = await Oneloop.start("writes");
const person = await Person.come(server);
const tab = await person.open();
const KETTLE = "Inbox/The kettle boils at 96 degrees.md";
const isThere = (name) => existsSync(path.join(server.notes, name));

await tab.ask("Note: the kettle boils at 96 degrees.");
const card = tab.find(".exchange .change");
await holds("what the agent has written is a card below the answer", tab.sees(card.filter({ hasText: "Made a note: The kettle boils at 96 degrees" })));
await holds("and a file on the disk", isThere(KETTLE));
await card.getByRole("link").click();
await holds("the card leads to it", tab.sees(".note", "96 degrees"));
await tab.page.goBack();
await tab.named("button", "Undo: Made a note The kettle boils at 96 degrees").click();
await holds("Undo takes it back, and says so", tab.sees(card, "Taken back."));
await holds("the file is gone", !isThere(KETTLE));

await tab.ask("Remember that the spade is lent to the neighbours.");
await tab.isAnswered();
await tab.ask("Note: the gate squeaks in the rain.");
await tab.isAnswered();
await tab.go("#/notes");
await tab.named("link", "What the agent wrote").click();
await holds("all that it has written stands in a list", [tab.at(/^#\/changes$/), tab.sees("#note", /3 changes in the last tasks/)]);
const titles = await tab.find("#note .change a").allInnerTexts();
await holds("the newest first", titles.length === 3 && titles[0].includes("gate") && titles[1].includes("spade"), titles);
await tab.find("#note .change", { hasText: "gate" }).getByRole("button", { name: /^Undo/ }).click();
await holds("from there it can be taken back, too", tab.sees("#note .change", "Taken back."));

const { knowledge_updates: [spade] } = (await server.get(`/chat/task/${(await server.tasks())[1].task_id}`)).result;
writeFileSync(path.join(server.notes, spade.path), `${readFileSync(path.join(server.notes, spade.path), "utf8")}\nUntil May.\n`);
await server.sync();
const again = person.tolerates(/^console: Failed to load resource: the server responded with a status of 409/);
const other = tab.find("#note .change", { hasText: "spade" });
await other.getByRole("button", { name: /^Undo/ }).click();
await other.locator(".problem").waitFor();
const refusal = await server.post("/notes/undo", { id: spade.id });
await holds("what somebody has changed since is not taken back, and the server's words say why",
  (await other.locator(".problem").innerText()) === refusal.detail, refusal);
await holds("the file stands", readFileSync(path.join(server.notes, spade.path), "utf8").endsWith("Until May.\n"));
await tab.page.reload();
const gone = tab.find("#note .change", { hasText: "gate" });
await gone.getByRole("button", { name: /^Undo/ }).click();
await holds("nor is what was taken back before", tab.sees(gone.locator(".problem", { hasText: "the note is gone already" })));
again();

await holds("nothing was complained of", person.left.length === 0, person.left);
await close();
