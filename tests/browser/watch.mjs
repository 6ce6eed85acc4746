// That a tab is watched at all: without it, every "nothing was complained of" would hold.

import { by, until } from "./claims.mjs";
import { Oneloop } from "./servers.mjs";
import { Person, close } from "./tabs.mjs";

const holds = by("watch");
const server = await Oneloop.start("watch");

/** Does something that must not happen, and answers whether that was noticed. */
async function notices(misdeed, complaint) {
  const person = await Person.come(server);
  const tab = await person.open();
  await tab.page.evaluate(misdeed);
  // Each look is a turn of the browser.
  await until(async () => person.left.some((text) => complaint.test(text)) || tab.page.evaluate("0").catch(() => 0));
  await person.context.close();
  return person.left;
}

const noticed = (left, pattern) => left.some((text) => pattern.test(text));
const misdeeds = [
  ["a request to another host", () => { new Image().src = "http://127.0.0.2:9/x.png"; }, /^the policy forbids img-src/],
  ["a form that leaves", () => {
    const form = document.createElement("form");
    form.action = "http://127.0.0.2:9/";
    document.body.append(form);
    form.submit();
  }, /^the policy forbids form-action/],
  ["a link that leaves", () => { location.href = "http://127.0.0.2:9/"; }, /^asked elsewhere: http:\/\/127\.0\.0\.2:9/],
  ["a script within the page", () => {
    const script = document.createElement("script");
    script.append("window.ran = true");
    document.body.append(script);
  }, /^the policy forbids (script-src|require-trusted-types)/],
  ["markup made of text", () => { try { document.body.innerHTML = "<b>bold</b>"; } catch { /* As it should. */ } }, /^the policy forbids require-trusted-types-for/],
  ["a style within the page", () => document.body.setAttribute("style", "color: red"), /^the policy forbids style-src/],
  ["an error that is told", () => console.error("an error"), /^console: an error/],
  ["an error that nobody catches", () => { setTimeout(() => { throw new Error("uncaught"); }); }, /^page: Error: uncaught/],
  ["a promise that is broken", () => { Promise.reject(new Error("broken")); }, /^page: Error: broken/],
  ["a dialog", () => { setTimeout(() => alert("hello")); }, /^dialog: hello/],
];
for (const [what, misdeed, complaint] of misdeeds) {
  const left = await notices(misdeed, complaint);
  await holds(`${what} is noticed`, noticed(left, complaint), left);
}
await close();
