// A model answers: token by token, until it is stopped, after the notes, or not at all.

import { by, until } from "./claims.mjs";
import { ScriptedModel } from "./model.mjs";
import { Oneloop } from "./servers.mjs";
import { Person, close } from "./tabs.mjs";

const holds = by("model");
const model = await ScriptedModel.start();
const server = await Oneloop.start("model", { flags: model.flags });
const person = await Person.come(server);
const tab = await person.open();
const newest = async () => (await server.tasks())[0];

await holds("the view says which model answers", tab.sees("#welcome", "scripted answers out of them; without it the notes answer"));

// --- Token by token ---

await tab.ask("How are tomatoes watered?");
let reply = await model.asked();
const words = ["Every ", "second ", "morning, ", "**at the ", "root** ", "[1]."];
const seen = [];
for (let count = 1; count <= words.length; count += 1) {
  reply.tokens(words[count - 1]);
  const text = words.slice(0, count).join("").replaceAll("**", count < 5 ? "**" : "");
  const shown = text.replace(/\s+$/, "");
  seen.push(await tab.until((wanted) => document.querySelector(".exchange .answer").textContent.trimEnd() === wanted, shown));
}
await holds("each token is seen as it is said, and nothing else", seen.every(Boolean), undefined);
await holds("meanwhile the answer is said to be on its way", (await tab.find(".exchange").getAttribute("aria-busy")) === "true");
await holds("and it can be stopped, or sent to the background", [tab.sees(tab.named("button", "Stop")),
  tab.sees(tab.named("button", "Send to background"))]);
await holds("its sources stand beside it before it is whole", tab.sees("#source-list li", "garden/tomatoes.md"));
reply.end();
await holds("when it is whole, that is said", [tab.isAnswered(), tab.sees(".exchange .by", /^Answered by scripted\.$/)]);
await holds("and it is what the server has kept",
  (await server.ended((await newest()).task_id)).result.response === words.join(""));

await tab.named("button", "Ask again").click();
reply = await model.asked();
reply.answer("At the root, as I said.");
await holds("a question can be asked again, and follows up the answer before it", [tab.isAnswered(), tab.reads("At the root, as I said."),
  reply.body.messages.some(({ role, content }) => role === "assistant" && content.startsWith("Every second"))], reply.body);

// --- Stop ---

await tab.ask("When is honey taken?");
reply = await model.asked();
reply.tokens("In late ", "July");
await holds("half of an answer is seen", tab.reads("In late July"));
await tab.named("button", "Stop").click();
await holds("Stop stops it, and the page says so", tab.sees(".exchange:nth-child(3) .state", /^Stopped\.$/));
await holds("the server has cancelled it", (await server.ended((await newest()).task_id)).status === "cancelled");
await holds("and has let go of the model", reply.isLeft);
await holds("what was said so far still stands", tab.reads("In late July"));
await tab.find(".exchange").last().getByRole("button", { name: "Ask again" }).click();
reply = await model.asked();
reply.answer("In late July [1], after the lime has bloomed.");
await holds("what was stopped can be asked again", tab.reads("In late July [1], after the lime has bloomed."));
await tab.page.reload();
await holds("a stopped question is still there after a reload, among the others", [
  tab.sees(".exchange:nth-child(3) .state", /^Stopped\.$/), tab.until(() => document.querySelectorAll(".exchange").length === 4)]);

// --- Reasoning and tools ---

await tab.ask("What stands in the shed?");
reply = await model.asked();
reply.tokens("Let me ", "look.");
await holds("a model may begin to speak", tab.reads("Let me look."));
reply.calls("read_note", { path: "house/shed.md" });
reply = await model.asked();
await holds("and then look further: what it said is void, and the page says why",
  [tab.reads(""), tab.sees(".exchange:last-child .state", "The model looks further before it answers.")]);
reply.answer("Two spades and the long fork.");
await holds("the answer behind it is the only one", [tab.isAnswered(), tab.reads("Two spades and the long fork.")]);

// --- The notes, then the model; the notes alone ---

await tab.find("#strategy").selectOption("fast-first");
await tab.ask("Where do the hives stand?");
reply = await model.asked();
await holds("the notes may answer first", tab.until(() => [...document.querySelectorAll(".exchange .answer")].at(-1).textContent.includes("behind the old pear tree")));
reply.answer("Behind the pear tree.");
await holds("and the model in their place", [tab.isAnswered(), tab.reads("Behind the pear tree.")]);
await tab.find("#strategy").selectOption("notes");
await tab.ask("How much coffee goes to the litre?");
await holds("or the notes alone", tab.sees(".exchange:last-child .by", /^Answered from the notes\.$/));
await tab.find("#strategy").selectOption("model");
await tab.page.reload();
await holds("who answers is remembered", tab.until(() => document.getElementById("strategy").value === "model"));

await tab.named("link", "New conversation").click();
await tab.ask("How are tomatoes watered?");
await holds("what the model was asked before is answered from memory, and the page says so",
  tab.sees(".exchange .by", "Answered by scripted, from memory."));

// --- No model ---

await model.stop();
await tab.ask("What opens the shed?");
await holds("when the model's server is down, the notes answer", tab.sees(".exchange:last-child .by", /^Answered from the notes\.$/));
await holds("and the page says why", tab.sees(".exchange:last-child .warning", "the model's server can't be reached"));
await holds("which is the server's own reason",
  (await tab.find(".exchange:last-child .warning").innerText()) === (await server.get(`/chat/task/${(await newest()).task_id}`)).result.degraded.join(" "));

await holds("nothing was complained of", person.left.length === 0, person.left);
await close();
