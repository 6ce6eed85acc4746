// Conversations: what the side list says, what an opened one shows, and how one is let go of.

import { by } from "./claims.mjs";
import { Oneloop } from "./servers.mjs";
import { Person, close } from "./tabs.mjs";

const holds = by("sessions");
const server = await Oneloop.start("sessions");
const person = await Person.come(server);
const tab = await person.open();

await tab.ask("How are tomatoes watered?");
await tab.isAnswered();
const entries = tab.find("#conversation-list .conversation");
await holds("a conversation is named by its first question", tab.sees(entries.locator(".name", { hasText: /^How are tomatoes watered\?$/ })));
await tab.ask("And when is honey taken?");
await tab.isAnswered();
await holds("and goes on under that name", [(await entries.count()) === 1, tab.until(() => document.title === "How are tomatoes watered? · oneloop")]);
const [first] = (await server.get("/sessions")).sessions;
await holds("as the server names it", first.title === "How are tomatoes watered?", first);

await tab.named("link", "New conversation").click();
await holds("a new one is empty", tab.until(() => document.querySelectorAll(".exchange").length === 0));
await tab.ask("What opens the shed?");
await tab.isAnswered();
await holds("the newest stands first", tab.sees(entries.first().locator("[aria-current]", { hasText: "What opens the shed?" })));
await tab.find("#question").fill("Not asked yet");

const other = await Person.come(server);
const theirs = await other.open();
await theirs.find("#conversation-list a", { hasText: "How are tomatoes watered?" }).click();
await holds("somebody else who opens a conversation sees all of it", [
  theirs.sees(".exchange:nth-child(1) .answer", "every second morning"), theirs.sees(".exchange:nth-child(2) .answer", "late July")]);
await holds("with its sources", theirs.sees("#source-list li", "garden/bees.md"));
await theirs.find(".exchange").first().hover();
await holds("of each answer", theirs.sees("#source-list li", "garden/tomatoes.md"));
await theirs.ask("And the bees?");
await theirs.isAnswered();
await tab.find("#conversation-list a", { hasText: "How are tomatoes watered?" }).click();
await holds("what they ask in it is seen by whoever opens it next", tab.sees(".exchange:nth-child(3) h2", "And the bees?"));
await holds("words that are typed in another conversation stay in that one", (await tab.find("#question").inputValue()) === "");
await tab.page.goBack();
await holds("and are there when one comes back", tab.until(() => document.getElementById("question").value === "Not asked yet"));

// --- Deleting ---

await tab.named("button", "Delete conversation: How are tomatoes watered?").click();
await holds("deleting asks first", tab.sees(tab.named("dialog", /Delete “How are tomatoes watered\?”\?/)));
await tab.named("button", "Cancel").click();
await holds("who says no keeps it", [(await entries.count()) === 2, (await server.get("/sessions")).sessions.length === 2]);
await tab.named("button", "Delete conversation: How are tomatoes watered?").click();
await tab.page.keyboard.press("Escape");
await holds("Escape is a no, too", (await server.get("/sessions")).sessions.length === 2);
await tab.named("button", "Delete conversation: How are tomatoes watered?").click();
await tab.find("#dialog-yes").click();
await holds("who says yes has it deleted", tab.until(() => document.querySelectorAll("#conversation-list .conversation").length === 1));
await holds("by the server, too", (await server.get("/sessions")).sessions.map(({ title }) => title).join() === "What opens the shed?");
await tab.named("button", "Delete conversation: What opens the shed?").click();
await tab.find("#dialog-yes").click();
await holds("whoever deletes what they look at begins a new one", tab.until(() => document.querySelectorAll(".exchange").length === 0
  && document.querySelectorAll("#conversation-list .conversation").length === 0));

await holds("nothing was complained of", person.left.concat(other.left).length === 0, person.left.concat(other.left));
await close();
