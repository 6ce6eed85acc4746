// What is read out while an answer is written: that it was asked, and that it is there. Not each of its words.

import { by } from "./claims.mjs";
import { ScriptedModel } from "./model.mjs";
import { Oneloop } from "./servers.mjs";
import { Person, close } from "./tabs.mjs";

const holds = by("ear");
const TOKENS = 100;
const model = await ScriptedModel.start();
const server = await Oneloop.start("ear", { flags: model.flags });
const person = await Person.come(server);
const tab = await person.open();
await tab.sees("#welcome", "7 notes");

/** Every change in a live region, as it would be read out. */
await tab.page.evaluate(() => {
  window.heard = [];
  const LIVE = "[aria-live]:not([aria-live=off]), [role=status], [role=alert], [role=log]";
  new MutationObserver((changes) => {
    const regions = new Set(changes.map(({ target }) => (target.closest ? target : target.parentElement)?.closest(LIVE)).filter(Boolean));
    for (const region of regions) window.heard.push(region.textContent);
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
});
const heard = () => tab.page.evaluate(() => window.heard.filter((text) => text !== ""));

await tab.ask("How are tomatoes watered?");
const reply = await model.asked();
const words = Array.from({ length: TOKENS }, (_, at) => `word${at + 1} `);
let text = "";
for (const word of words) {
  reply.tokens(word);
  text += word;
  // Each is seen before the next is said: else a hundred would be one.
  if (!(await tab.reads(text.trim()))) await holds(`the token ${word}is seen`, false);
}
reply.end();
await tab.isAnswered();
await tab.until(() => window.heard.some((told) => told.startsWith("The answer is there")));
const told = await heard();
await holds(`an answer of ${TOKENS} tokens, each seen, is at most three changes of what is read out`, told.length <= 3, told);
await holds("the last says that the answer is there, and how it begins", /^The answer is there, with \d+ sources?\. word1 word2/.test(told.at(-1)), told);
await holds("what is being written is marked as unfinished until it is whole", (await tab.find(".exchange").getAttribute("aria-busy")) === "false");
await holds("each question and answer is an article with a name", tab.sees(tab.named("article", "Question: How are tomatoes watered?")));
await tab.ask("And what else?");
const other = await model.asked();
other.tokens("Nothing");
await tab.reads("Nothing");
await tab.named("button", "Stop").click();
await holds("that it was stopped is said", tab.until(() => window.heard.at(-1) === "Stopped."), await heard());

await holds("nothing was complained of", person.left.length === 0, person.left);
await close();
