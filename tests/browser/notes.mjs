// Reading notes: by category, by search, and from one to the next.

import { existsSync } from "node:fs";

import { by } from "./claims.mjs";
import { Oneloop } from "./servers.mjs";
import { Person, close } from "./tabs.mjs";

const holds = by("notes");
const server = await Oneloop.start("notes");
const person = await Person.come(server);
const tab = await person.open("#/notes");

// --- The tree ---

await holds("the view says how many there are", tab.sees("#note", "7 notes, as they stand in the folder."));
const branch = (name) => tab.find("#tree details", { has: tab.find("summary", { hasText: name }) });
const { categories } = await server.get("/knowledge/categories");
const summaries = await tab.find("#tree summary").allInnerTexts();
await holds("categories stand in a tree, each with its count", [summaries.length === categories.length,
  categories.every(({ name, count }) => summaries.some((text) => text.replace(/\s+/g, " ") === `${name || "At the top"} ${count}`))], summaries);
await branch("garden").locator("summary").click();
await holds("a branch that is opened shows its notes by title", tab.until(() =>
  [...document.querySelectorAll("#tree details[open] a")].map((link) => link.textContent).join() === "Bees,Compost,Tomatoes"));
await branch("garden").getByRole("link", { name: "Tomatoes" }).click();
await holds("one that is chosen is shown", [tab.at(/^#\/note\/garden\/tomatoes\.md$/), tab.sees(tab.named("heading", "Tomatoes", { level: 1 }))]);
await holds("and marked in the tree", tab.sees("#tree a[aria-current]", /^Tomatoes$/));

// --- A note as it reads ---

await holds("front matter is a list", tab.sees(".note dl.front-matter dd", "vegetable, summer"));
await holds("strong words are strong", tab.sees(".note strong", /^never on the leaves$/));
await holds("a table is a table", tab.sees(tab.named("cell", "Ox heart")));
await holds("its title is said once", (await tab.find("#note h1").count()) === 1);
await holds("the notes that link to it stand below", tab.sees(".backlinks li", "Welcome"));
const { linked_from } = await server.get("/knowledge/links?path=garden/tomatoes.md");
const backlinks = await tab.find(".backlinks li").allInnerTexts();
await holds("all that the server knows of", backlinks.join() === linked_from.map(({ title }) => title).join() && backlinks.length === 2, backlinks);
await tab.go("#/note/kitchen/coffee.md");
await holds("code is code", tab.sees(".note pre code.language-sh", "grind --coarse 18"));
await tab.find(".note .footnote-mark").click();
await holds("a footnote is walked to, and the address stays", [
  tab.until(() => document.activeElement.classList.contains("footnote")), tab.at(/^#\/note\/kitchen\/coffee\.md$/)]);
await tab.go("#/note/garden/compost.md");
await holds("tasks have boxes that say whether they are done", [tab.sees(tab.named("checkbox", "done", { exact: true })), tab.sees(tab.named("checkbox", "not done"))]);

// --- Links ---

await tab.go("#/note/welcome.md");
await tab.find(".note").getByRole("link", { name: "tomatoes" }).click();
await holds("a wikilink walks to its note", [tab.at(/^#\/note\/garden\/tomatoes\.md$/), tab.sees(tab.named("heading", "Tomatoes", { level: 1 }))]);
await tab.find(".backlinks a", { hasText: "The shed" }).click();
await holds("a backlink walks back", tab.at(/^#\/note\/house\/shed\.md$/));
await tab.find(".note").getByRole("link", { name: /Sorts/ }).click();
await holds("a link to a heading leads to it", [tab.at(/^#\/note\/garden\/tomatoes\.md\?heading=Sorts$/), tab.until(() => {
  const heading = [...document.querySelectorAll(".note h2")].find(({ textContent }) => textContent === "Sorts");
  const top = heading?.getBoundingClientRect().top;
  return top >= 0 && top < innerHeight;
})]);
await tab.go("#/note/welcome.md");
await tab.find(".note").getByRole("link", { name: "the coffee" }).click();
await holds("a relative link walks, too", tab.at(/^#\/note\/kitchen\/coffee\.md$/));
await tab.go("#/note/welcome.md");
await tab.find(".note").getByRole("link", { name: "the shed" }).click();
await holds("and one that shows other words", tab.at(/^#\/note\/house\/shed\.md$/));
await tab.go("#/note/garden/tomatoes.md");
await tab.find(".note a.missing", { hasText: "Seeds" }).click();
await holds("a link to what nobody has written says so", tab.sees(tab.named("heading", "No such note")));
await tab.find("#note").getByRole("link", { name: "Write it" }).click();
await holds("and offers to write it", [tab.at(/^#\/new-note\?path=/), tab.until(() =>
  document.getElementById("new-path")?.value === "Seeds.md" && document.getElementById("editor").value === "# Seeds\n\n")]);

// --- Search ---

await tab.go("#/notes");
await tab.find("#search").pressSequentially("long fo");
await holds("a search finds while one types", tab.sees("#search-results li", "The key of the shed"));
await tab.find("#search").pressSequentially("rk");
await holds("passages, and lines with these letters", [tab.sees("#search-results h3", /^Passages$/), tab.sees("#search-results h3", /^Lines with these letters$/)]);
await holds("and says how many", tab.sees("#search-state", /^\d+ passages?, 2 lines$/));
await tab.find("#search-results a", { hasText: "Compost" }).first().click();
await holds("what was found is opened at its place", [tab.at(/^#\/note\/garden\/compost\.md\?/), tab.sees(".note .passage", "long fork")]);
await tab.find("#search").fill("zzzzqqqq");
await holds("where nothing is found, that is said", tab.sees("#search-state", /^Nothing was found\.$/));
await tab.find("#search").fill("");
await holds("an empty search shows the tree again", tab.sees("#tree summary"));
await tab.page.keyboard.press("Control+k");
await holds("Ctrl+K leads to the search", tab.until(() => document.activeElement.id === "search"));

// --- A passage of a note that has changed ---

await tab.go("#/ask/new");
await tab.ask("How are tomatoes watered?");
const citation = tab.find(".exchange a.citation").first();
await citation.waitFor();
const { url, notes } = server;
const read = await fetch(`${url}/notes/file/garden/tomatoes.md`);
const changed = (await read.text()).replace("# Tomatoes\n", "# Tomatoes\n\nA line was put here meanwhile, and it is not a short one.\n");
await fetch(`${url}/notes/file/garden/tomatoes.md`, { method: "PUT", body: changed, headers: { "If-Match": read.headers.get("ETag") } });
await citation.click();
await holds("where a quoted note has changed, that is said", tab.sees("#note .warning", "This note was changed since it was quoted."));
await holds("and whether the passage still stands in it, which is then marked", [tab.sees("#note .warning", "still stands"),
  tab.sees(".note .passage", "every second morning")]);

// --- Deleting ---

await tab.go("#/note/house/journal.md");
await tab.sees("#note .note", "The roof was mended.");
await tab.named("button", "Delete", { exact: true }).click();
await holds("deleting asks first, and names the file", tab.sees("dialog[open]", "The file house/journal.md is removed"));
await tab.find("#dialog-no").click();
await holds("who says no keeps it", (await server.fetch("/notes/file/house/journal.md")).status === 200);
await tab.named("button", "Delete", { exact: true }).click();
await tab.find("#dialog-yes").click();
await holds("who says yes is told, and led to the notes", [tab.sees("#toast", /^Deleted: /), tab.at(/^#\/notes$/)]);
await holds("and the file is gone", !existsSync(`${notes}/house/journal.md`));

await holds("nothing was complained of", person.left.length === 0, person.left);
await close();
