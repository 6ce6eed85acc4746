// Asking without a model: the notes answer, and each answer leads to the passages that it rests on.

import { by } from "./claims.mjs";
import { Oneloop } from "./servers.mjs";
import { Person, close } from "./tabs.mjs";

const holds = by("ask");
const server = await Oneloop.start("ask");
const person = await Person.come(server);
const tab = await person.open();

await holds("the view says how many notes there are, and who answers",
  tab.sees("#welcome", /^7 notes\. They answer themselves, word for word, without a model\./));
await tab.find("#question").fill("How are tomatoes watered?");
await tab.find("#question").press("Enter");
await holds("a question that is typed is asked by Enter", tab.sees(".exchange h2", "How are tomatoes watered?"));
await holds("the answer appears", tab.sees(".exchange .answer", "every second morning, at the root"));
await holds("it is said who has answered", tab.sees(".exchange .by", /^Answered from the notes\.$/));
await holds("the question's place is empty again", (await tab.find("#question").inputValue()) === "");
const source = tab.find("#source-list li").first();
await holds("its source stands beside it", tab.sees(source.filter({ hasText: "garden/tomatoes.md" })));
await holds("with the passage itself", tab.sees(source.locator("blockquote", { hasText: "never on the leaves" })));
const citation = tab.find(".exchange a.citation").first();
await holds("the answer cites it by a link", (await citation.textContent()) === "[1]", await citation.textContent());
const mark = await citation.getAttribute("href");
await holds("which leads to where the source leads", (await source.locator("a").first().getAttribute("href")) === mark, mark);

await citation.click();
await holds("a citation opens the note", tab.at(/^#\/note\/garden\/tomatoes\.md\?start=/));
await holds("with the passage marked", tab.sees(".note .passage", "Tomatoes are watered every second morning"));
const highlighted = () => [...CSS.highlights.get("passage")].map(String).join("|");
await holds("and its very words highlighted", (await tab.page.evaluate(highlighted)).includes("at the root and never on the leaves"),
  await tab.page.evaluate(highlighted));
await holds("it is in sight, and has the focus", tab.until(() => {
  const { top, bottom } = document.activeElement.getBoundingClientRect();
  return document.activeElement.classList.contains("passage") && top >= 0 && bottom <= innerHeight;
}));
await tab.page.goBack();
await holds("the way back leads to the answer", tab.sees(".exchange .answer", "every second morning"));

await tab.ask("And when is the compost heap turned?");
await holds("a second question goes on in the same conversation", tab.sees(".exchange:nth-child(2) .answer", "every third week"));
await tab.find(".exchange").first().hover();
await holds("the sources beside are those of the answer that one points at", tab.sees("#source-list li", "garden/tomatoes.md"));
await tab.find(".exchange").last().hover();
await holds("and of the other", tab.sees("#source-list li", "garden/compost.md"));
await tab.ask("What is the speed of light on Mars?");
await tab.isAnswered();
const said = await tab.find(".exchange .answer").last().textContent();
const task = await server.get(`/chat/task/${(await server.tasks())[0].task_id}`);
await holds("where the notes say nothing, the page says what the server says", said === task.result.response, { said, task });

await tab.find("#question").fill("A line");
await tab.find("#question").press("Shift+Enter");
await tab.page.keyboard.type("and one more");
await holds("Shift+Enter begins a line", (await tab.find("#question").inputValue()) === "A line\nand one more");
await tab.page.reload();
await holds("words that are not sent yet survive a reload",
  tab.until(() => document.getElementById("question").value === "A line\nand one more"));

await holds("nothing was complained of", person.left.length === 0, person.left);
await close();
