// Writing notes: a preview, a save, and a choice when somebody else was faster.

import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { by } from "./claims.mjs";
import { Oneloop } from "./servers.mjs";
import { Person, close } from "./tabs.mjs";

const holds = by("editing");
const server = await Oneloop.start("editing");
const person = await Person.come(server);
const tab = await person.open("#/note/garden/bees.md");
const file = (name) => path.join(server.notes, name);
const onDisk = (name) => readFileSync(file(name), "utf8");
const editor = tab.find("#editor");
const isShown = (text) => tab.until((wanted) => document.getElementById("editor")?.value === wanted, text);

// --- Editing ---

const before = onDisk("garden/bees.md");
await tab.find("#note").getByRole("link", { name: "Edit" }).click();
await holds("a note is edited as it stands in its file", isShown(before));
await holds("with the focus in its text", tab.until(() => document.activeElement.id === "editor"));
await editor.fill(`${before}\nThey like **lime**.\n`);
await holds("beside it stands how it will read", tab.sees(tab.named("region", "Preview").locator("strong", { hasText: /^lime$/ })));
await holds("nothing is written before it is saved", onDisk("garden/bees.md") === before);
await tab.page.reload();
await holds("words that are not saved survive a reload", [isShown(`${before}\nThey like **lime**.\n`), tab.sees(".editor", "they were not saved")]);
await tab.page.keyboard.press("Control+s");
await holds("Ctrl+S saves, and leads to the note", [tab.at(/^#\/note\/garden\/bees\.md$/), tab.sees(".note strong", /^lime$/)]);
await holds("the file on the disk has it", onDisk("garden/bees.md") === `${before}\nThey like **lime**.\n`, onDisk("garden/bees.md"));
await tab.find("#note").getByRole("link", { name: "Edit" }).click();
await editor.fill("thrown away");
await tab.page.reload();
await tab.named("button", "Throw them away").click();
await holds("words that are not saved can be thrown away", [tab.at(/^#\/note\/garden\/bees\.md$/), tab.sees(".note", "They like lime.")]);
await tab.find("#note").getByRole("link", { name: "Edit" }).click();
await holds("and are gone", isShown(onDisk("garden/bees.md")));
await tab.find(".editor").getByRole("link", { name: "Close" }).click();
await holds("an editor that is closed leads back to the note", tab.at(/^#\/note\/garden\/bees\.md$/));

// --- Somebody else was faster ---

const THEIRS = "# Compost\n\nThe heap is turned in May.\n\nTheirs alone.\n";
const MINE = "# Compost\n\nThe heap is turned in June.\n\nTheirs alone.\n";

/** Begins to edit, has the file changed on the disk meanwhile, and saves. */
async function collide() {
  // By way of another view: the editor that is closing looks like the one that opens.
  await tab.go("#/notes");
  await tab.sees("#note", "as they stand in the folder");
  await tab.go("#/edit/garden/compost.md");
  // Until then the editor before may still stand there.
  await isShown(onDisk("garden/compost.md"));
  await editor.fill(MINE);
  writeFileSync(file("garden/compost.md"), THEIRS);
  await server.sync();
  await tab.named("button", "Save").click();
  return tab.sees(".conflict", "Nothing was written. What shall count?");
}

const again = person.tolerates(/^console: Failed to load resource: the server responded with a status of 412/);
const original = onDisk("garden/compost.md");
await holds("who saves a note that was changed meanwhile is given a choice", [collide(), tab.sees("#conflict-title", "Somebody else has changed this note")]);
await holds("nothing was written until then", onDisk("garden/compost.md") === THEIRS, onDisk("garden/compost.md"));
await holds("both texts are shown, line by line", [tab.sees(".difference .mine", "in June."), tab.sees(".difference .theirs", "in May."),
  tab.sees(".difference .same", "Theirs alone.")]);
await holds("and one's own words are still in the editor", isShown(MINE));
await tab.named("button", "Keep mine").click();
await holds("“Keep mine” writes mine", [tab.at(/^#\/note\/garden\/compost\.md$/), tab.sees(".note", "in June.")]);
await holds("over theirs", onDisk("garden/compost.md") === MINE, onDisk("garden/compost.md"));

writeFileSync(file("garden/compost.md"), original);
await server.sync();
await collide();
await tab.named("button", "Take theirs").click();
await holds("“Take theirs” puts theirs into the editor", [isShown(THEIRS), tab.misses(".conflict")]);
await holds("and writes nothing", onDisk("garden/compost.md") === THEIRS);
await tab.named("button", "Save").click();
await holds("which can then be saved", [tab.at(/^#\/note\/garden\/compost\.md$/), tab.sees(".note", "in May.")]);

writeFileSync(file("garden/compost.md"), original);
await server.sync();
await collide();
await tab.named("button", "Put both into the editor").click();
const BOTH = "# Compost\n\n<<<<<<< mine\nThe heap is turned in June.\n=======\nThe heap is turned in May.\n>>>>>>> theirs\n\nTheirs alone.\n";
await holds("“Put both into the editor” puts both there, with marks between them", isShown(BOTH), await editor.inputValue());
await holds("and writes nothing", onDisk("garden/compost.md") === THEIRS);
await tab.page.reload();
await holds("both survive a reload, too", isShown(BOTH));
await editor.fill("# Compost\n\nThe heap is turned in May and in June.\n");
await tab.named("button", "Save").click();
await tab.at(/^#\/note\/garden\/compost\.md$/);
await holds("what was made of both is saved", onDisk("garden/compost.md") === "# Compost\n\nThe heap is turned in May and in June.\n");

await tab.find("#note").getByRole("link", { name: "Edit" }).click();
await editor.fill(MINE);
await tab.page.reload();
await isShown(MINE);
writeFileSync(file("garden/compost.md"), THEIRS);
await server.sync();
await tab.page.reload();
await isShown(MINE);
await tab.named("button", "Save").click();
await holds("words from before a reload do not overwrite what came meanwhile", tab.sees(".conflict", "Somebody else has changed this note"));
await tab.named("button", "Take theirs").click();

await tab.go("#/edit/house/journal.md");
await tab.sees(tab.named("heading", "Edit house/journal.md"));
await editor.fill("# Mine\n");
rmSync(file("house/journal.md"));
await server.sync();
const alsoAgain = person.tolerates(/^console: Failed to load resource: the server responded with a status of 404/);
await tab.named("button", "Save").click();
await holds("a note that was removed meanwhile is a choice, too", tab.sees("#conflict-title", "Somebody else has removed this note"));
await tab.named("button", "Keep mine").click();
await holds("and can be written anew", [tab.at(/^#\/note\/house\/journal\.md$/), tab.sees(".note h1", /^Mine$/)]);
await holds("to the same file", onDisk("house/journal.md") === "# Mine\n");
alsoAgain();

// --- A new note ---

await tab.go("#/notes");
await tab.named("link", "New note").click();
await holds("a new note begins with its path", tab.until(() => document.activeElement.id === "new-path"));
await tab.find("#new-path").fill("garden/pear tree.md");
await editor.fill("# Pear tree\n\nIt is old. See [[bees]].\n");
await tab.page.reload();
await holds("a note that is not saved yet survives a reload, with its path", [isShown("# Pear tree\n\nIt is old. See [[bees]].\n"),
  tab.until(() => document.getElementById("new-path").value === "garden/pear tree.md")]);
await tab.named("button", "Save").click();
await holds("a new note is saved, and shown", [tab.at(/^#\/note\/garden\/pear%20tree\.md$/), tab.sees(".note h1", /^Pear tree$/)]);
await holds("its file is on the disk", existsSync(file("garden/pear tree.md")));
await holds("it stands in the tree", tab.sees("#tree a[aria-current]", "Pear tree"));
await tab.find(".note").getByRole("link", { name: "bees" }).click();
await holds("and its links lead on, and back", [tab.at(/^#\/note\/garden\/bees\.md$/), tab.sees(".backlinks li", "Pear tree")]);
await tab.go("#/new-note?path=garden/bees.md");
await tab.sees(tab.named("heading", "New note"));
await editor.fill("# Other bees\n");
await tab.named("button", "Save").click();
await holds("a new note does not overwrite one that there is", tab.sees("#conflict-title", "There is such a note already"));
await holds("which stands as it was", onDisk("garden/bees.md").includes("lime"));
again();
const refused = person.tolerates(/^console: Failed to load resource: the server responded with a status of 400/);
await tab.go("#/new-note");
await tab.misses(".conflict");
await tab.find("#new-path").fill("../outside.md");
await editor.fill("# Outside\n");
await tab.named("button", "Save").click();
await holds("a path that is none of a note is refused in the server's words", tab.sees(".editor", "Not saved. a note's path ends with .md"));
await holds("and the words stay", isShown("# Outside\n"), await editor.inputValue());
refused();

await holds("nothing was complained of", person.left.length === 0, person.left);
await close();
