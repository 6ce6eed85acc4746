// The page on a telephone, by touch.

import { by } from "./claims.mjs";
import { Oneloop } from "./servers.mjs";
import { Person, PHONE, close } from "./tabs.mjs";

const holds = by("telephone");
const server = await Oneloop.start("telephone");
const person = await Person.come(server, { viewport: PHONE, isMobile: true, hasTouch: true });
const tab = await person.open();

/** Nothing is wider than the screen. */
const fits = () => tab.until(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth
  && visualViewport.scale === 1 && visualViewport.width === 390);

await holds("the view fits the screen", [tab.sees("#welcome", "7 notes"), fits()]);
await holds("no keyboard comes up by itself", (await tab.page.evaluate(() => document.activeElement.id)) !== "question");
await holds("conversations are folded away", (await tab.find("#conversation-list").isVisible()) === false);
await tab.find("#question").tap();
await tab.page.keyboard.type("How are tomatoes watered?");
await tab.named("button", "Ask", { exact: true }).tap();
await tab.isAnswered();
await holds("an answer fits, too", [tab.sees(".exchange .answer", "every second morning"), fits()]);
await tab.find(".exchange summary", { hasText: /^Sources \(\d\)$/ }).tap();
await holds("its sources unfold below it", [tab.sees(".exchange .sources li", "garden/tomatoes.md"), fits()]);
await tab.find(".exchange .sources a").first().tap();
await holds("one is opened by a tap, at its passage", [tab.sees(".passage", "every second morning"), fits()]);
for (const [view, section] of [["Notes", "notes"], ["Graph", "graph"], ["Tasks", "tasks"], ["Status", "status"], ["Ask", "ask"]]) {
  await tab.find(`.top nav a[href="#/${section}"]`).tap();
  await holds(`${view} is reached by a tap, and fits`, [tab.sees(`#${section} :is(h1, .exchange)`), fits()]);
}
await tab.find("#conversations summary").tap();
await holds("conversations unfold", tab.sees("#conversation-list .name", "How are tomatoes watered?"));
await tab.named("link", "New conversation").tap();
await holds("and a new one begins", [tab.sees("#welcome", "7 notes"), fits()]);
await tab.go("#/edit/garden/compost.md");
await tab.find("#editor").waitFor();
await tab.find("#editor").fill("# Compost\n\nTapped.\n");
await tab.named("button", "Save").tap();
await holds("a note is written and saved by touch", [tab.sees(".note", "Tapped."), fits()]);

await holds("nothing was complained of", person.left.length === 0, person.left);
await close();
