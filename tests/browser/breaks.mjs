// What becomes of an answer when the line breaks, the server dies, the page is loaded anew, or nobody looks.

import { by } from "./claims.mjs";
import { ScriptedModel } from "./model.mjs";
import { Oneloop } from "./servers.mjs";
import { Person, close } from "./tabs.mjs";

const holds = by("breaks");
const model = await ScriptedModel.start();
const server = await Oneloop.start("breaks", { flags: model.flags });
const person = await Person.come(server);
/** What a browser says of requests to a server that is not there, or that dies under them. */
const LOST = /^console: Failed to load resource: net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|INCOMPLETE_CHUNKED_ENCODING|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED)/;
/** And of a conversation that has no answer yet: the server has none of that name. */
const UNANSWERED = /^console: Failed to load resource: the server responded with a status of 404/;
const newest = async () => (await server.tasks())[0].task_id;
/** The page that was there before is still there: its window has the mark that it was given. */
const isMarked = (tab) => tab.page.evaluate(() => window.marked === true);

// --- The server dies in the middle of an answer ---

for (const [what, signal, question] of [["killed", "SIGKILL", "How are tomatoes watered?"], ["ended", "SIGTERM", "When is honey taken?"]]) {
  const tab = await person.open("#/ask/new");
  await tab.page.evaluate(() => { window.marked = true; });
  await tab.ask(question);
  let reply = await model.asked();
  reply.tokens("It ", "was ");
  await holds(`an answer is half told when its server is ${what}`, tab.reads("It was"));
  const again = person.tolerates(LOST);
  const gone = server.end(signal);
  if (signal === "SIGTERM") {
    reply.tokens("so ");
    await holds(`${what}: for a while, what ran goes on`, tab.reads("It was so"));
  }
  await gone;
  await holds(`${what}: the page says quietly that the line was cut`, tab.sees(".exchange .state", "The line was cut. Going on from there in a moment…"));
  await holds(`${what}: what was told so far still stands`, tab.sees(".exchange .answer", /^It was/));
  await holds(`${what}: the page is told of no failure`, (await tab.find(".problem:visible").count()) === 0);
  await server.start();
  reply = await model.asked();
  await holds(`${what}: the next process goes on, and the page with it`, tab.misses(".exchange .state", "The line was cut"));
  reply.tokens("So ", "it ");
  await holds(`${what}: what the first process told and did not keep is void`, tab.reads("So it"));
  reply.tokens("is ", "[1].");
  reply.end();
  await tab.isAnswered();
  const { status, result } = await server.get(`/chat/task/${await newest()}`);
  await holds(`${what}: the text in the end is the server's, with nothing twice`, [status === "completed", result.response === "So it is [1].", tab.reads(result.response)], result);
  await holds(`${what}: the page was not loaded anew`, isMarked(tab));
  await holds(`${what}: there is one task, and the model was asked as often as there were processes`,
    (await server.tasks()).filter(({ message }) => message === question).length === 1);
  await holds(`${what}: the line that said so is gone`, tab.misses("#connection", /./));
  again();
  await tab.page.close();
}

// --- A question without a server ---

{
  const tab = await person.open("#/ask/new");
  await tab.sees("#welcome", "7 notes");
  const again = person.tolerates(LOST);
  const alsoAgain = person.tolerates(UNANSWERED);
  await server.end("SIGKILL");
  await tab.ask("What is the roof like?");
  await holds("a question is taken while the server is down", tab.sees(".exchange h2", "What is the roof like?"));
  await holds("and the page says that it can't be reached", tab.sees("#connection", "The server can't be reached. Trying again…"));
  await tab.page.goto("about:blank");
  await server.start();
  await tab.page.goto(`${server.url}/`);
  const reply = await model.asked();
  reply.answer("It holds.");
  await holds("it is delivered once the server is back, also by a page that was loaded anew", [tab.isAnswered(), tab.reads("It holds.")]);
  await holds("exactly once", (await server.tasks()).filter(({ message }) => message === "What is the roof like?").length === 1);
  await server.end("SIGKILL");
  await tab.ask("And in the rain?");
  await tab.sees("#connection", "The server can't be reached");
  await server.start();
  (await model.asked()).answer("Then, too.");
  await holds("the same page delivers the next one by itself", [tab.isAnswered(), tab.reads("Then, too.")]);
  await holds("exactly once, too", (await server.tasks()).filter(({ message }) => message === "And in the rain?").length === 1);
  again();
  alsoAgain();
  await tab.page.close();
}

// --- The page is loaded anew; two read the same ---

{
  const tab = await person.open("#/ask/new");
  await tab.ask("Where do the hives stand?");
  const reply = await model.asked();
  reply.tokens("Behind ", "the ");
  await tab.reads("Behind the");
  const again = person.tolerates(UNANSWERED);
  await tab.page.reload();
  await holds("a page that is loaded anew shows all that was told so far", tab.reads("Behind the"));
  reply.tokens("old ");
  await holds("and goes on", tab.reads("Behind the old"));
  const other = await person.open(await tab.page.evaluate(() => location.hash));
  await holds("another tab is told all from the beginning", other.reads("Behind the old"));
  again();
  reply.tokens("pear ");
  await holds("both are told what comes", [tab.reads("Behind the old pear"), other.reads("Behind the old pear")]);
  reply.tokens("tree.");
  reply.end();
  await holds("and have the same in the end", [tab.isAnswered(), other.isAnswered(), tab.reads("Behind the old pear tree."), other.reads("Behind the old pear tree.")]);
  await other.page.close();
  await tab.page.close();
}

// --- A tab that nobody looks at ---

{
  const tab = await person.open("#/ask/new");
  await tab.ask("What is coffee brewed with?");
  const reply = await model.asked();
  reply.tokens("Sixty ");
  await tab.reads("Sixty");
  const isHidden = (hidden) => tab.page.evaluate((value) => {
    Object.defineProperty(document, "hidden", { value, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  const left = tab.page.waitForEvent("requestfailed", (request) => request.url().includes("/stream?"));
  await isHidden(true);
  await holds("a tab that is hidden lets go of its stream", (await left).failure().errorText === "net::ERR_ABORTED");
  reply.tokens("grams ");
  await isHidden(false);
  await holds("and has all that was said meanwhile when somebody looks again", tab.reads("Sixty grams"));
  reply.end();
  await holds("and goes on to the end", [tab.isAnswered(), tab.reads("Sixty grams")]);
  await tab.page.close();
}

// --- In the background ---

{
  const tab = await person.open("#/ask/new");
  await tab.ask("What stands in the shed?");
  const reply = await model.asked();
  reply.tokens("Two ");
  await tab.reads("Two");
  const before = await tab.page.evaluate(() => location.hash);
  const again = person.tolerates(UNANSWERED);
  await tab.named("button", "Send to background").click();
  await holds("sent to the background, a question makes room for a new conversation", [
    tab.until((hash) => location.hash !== hash && document.querySelectorAll(".exchange").length === 0, before), tab.sees("#toast", "It goes on in the background")]);
  await holds("a figure says that something runs", tab.sees("#task-count", /^1$/));
  await tab.named("link", "Tasks").click();
  const row = tab.find(".task").first();
  await holds("and Tasks shows it", tab.sees(row.filter({ hasText: "What stands in the shed?" }).filter({ has: tab.find(".badge.running", { hasText: "running" }) })));
  reply.tokens("spades.");
  reply.end();
  await holds("there it is seen to be answered, without being asked", tab.sees(row.locator(".badge.completed")));
  await holds("which is told, too", tab.sees("#toast", "Answered: What stands in the shed?"));
  await holds("and the figure is gone", tab.misses("#task-count"));
  await row.getByRole("link", { name: "What stands in the shed?" }).click();
  await holds("its row leads back to the conversation", [tab.at(new RegExp(`^${before}$`)), tab.reads("Two spades.")]);

  await tab.ask("And what else?");
  await model.asked();
  await tab.named("link", "Tasks").click();
  await tab.named("button", "Stop: And what else?").click();
  await holds("a task can be stopped from there", tab.sees(row.locator(".badge.cancelled", { hasText: "stopped" })));
  const { task_id: alone } = await server.post("/chat/async", { message: "How much honey is left to the bees?" });
  (await model.asked()).answer("A third [1].");
  await tab.go("#/ask/new");
  await tab.named("link", "Tasks").click();
  await row.getByRole("link", { name: "How much honey is left to the bees?" }).click();
  await holds("what others have asked without a conversation can be looked at", [tab.at(new RegExp(`^#/task/${alone}$`)), tab.reads("A third [1].")]);
  again();
}

await holds("nothing was complained of", person.left.length === 0, person.left);
await close();
