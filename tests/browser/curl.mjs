// "Copy as curl": what is copied is a command that a shell runs and the server answers.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { by } from "./claims.mjs";
import { Oneloop } from "./servers.mjs";
import { Person, close } from "./tabs.mjs";

const holds = by("curl");
const server = await Oneloop.start("curl");
const person = await Person.come(server, { permissions: ["clipboard-read", "clipboard-write"] });
const tab = await person.open();
const QUESTION = `What's "watered" & when? $(id) \`id\` \\ %20 é 茶 !\n'; echo`;

/** Presses a button, and runs what it has copied. */
async function copied(button) {
  await tab.page.evaluate(() => navigator.clipboard.writeText(""));
  await button.click();
  await tab.sees("#toast", "Copied");
  const command = await tab.page.evaluate(() => navigator.clipboard.readText());
  const { stdout } = await promisify(execFile)("bash", ["-c", `${command} --silent --show-error --max-time 20 --write-out '\\n%{http_code}'`]);
  const at = stdout.lastIndexOf("\n");
  return { command, body: stdout.slice(0, at), status: Number(stdout.slice(at + 1)) };
}

await tab.ask(QUESTION);
await tab.isAnswered();
const [{ task_id: task }] = await server.tasks();
const answer = await copied(tab.find(".exchange").getByRole("button", { name: "Copy as curl" }));
await holds("an answer's command is run by bash and answered 200", answer.status === 200, answer);
await holds("with that answer", JSON.parse(answer.body).result.run_id === task, answer);

await tab.named("button", "Requests").click();
const list = tab.find("#request-list li");
const labels = await list.getByRole("button").evaluateAll((buttons) => buttons.map((button) => button.getAttribute("aria-label")));
await holds("all that the page has asked stands in a list", labels.some((label) => label.endsWith("POST /chat/async")) && labels.length > 5, labels);
for (let at = 0; at < labels.length; at += 1) {
  const ran = await copied(list.nth(at).getByRole("button"));
  const isRight = ran.status === (labels[at].includes("POST /chat/async") ? 202 : 200);
  if (!isRight) await holds(`${labels[at]} is answered`, false, ran);
  if (labels[at].includes("POST /chat/async")) {
    await holds("the question asked once more by its command is the same task, as the key is the same", JSON.parse(ran.body).task_id === task, ran);
  }
}
await holds("each of them is a command that is run and answered", true);
const [{ session_id: session }] = await server.tasks();
const { messages } = await server.get(`/sessions/${session}`);
await holds("and the question was asked once, as it was typed", [(await server.tasks()).length === 1, messages.length === 2, messages[0].content === QUESTION], messages);
await tab.page.keyboard.press("Escape");

await server.fetch(`/notes/file/${encodeURIComponent("it's \"a\" $(id) 100% #note?.md")}`, { method: "PUT", body: "# It's\n", headers: { "If-None-Match": "*" } });
for (const [view, button] of [[`#/note/${encodeURIComponent("it's \"a\" $(id) 100% #note?.md")}`, "Copy as curl: GET /notes/file/"], ["#/notes", "Copy as curl: GET /notes"],
  ["#/tasks", "Copy as curl: GET /tasks"], ["#/status", "Copy as curl: GET /info"], ["#/status", "Copy as curl: POST /sync"]]) {
  await tab.go(view);
  const ran = await copied(tab.find(".view:not([hidden])").getByRole("button", { name: button }).first());
  await holds(`${button} is run and answered 200`, ran.status === 200, ran);
}

await holds("nothing was complained of", person.left.length === 0, person.left);
await close();
