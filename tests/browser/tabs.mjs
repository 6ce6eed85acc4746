// Tabs of a browser that are watched: whatever goes wrong in them, and whatever they ask of anybody but their server, is a
// complaint, and no complaint may be left at the end.

import { readFileSync } from "node:fs";
import path from "node:path";
import { chromium } from "playwright-core";

import { PATIENCE, witnesses } from "./claims.mjs";

/** A folder with the files of the page, for whoever works on them: they are then taken from it and not from the binary. */
const { PAGE_FILES } = process.env;

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });

/** Ends the browser and this process, and with it the servers. */
export async function close() {
  await browser.close();
  process.exit(0);
}

/** Somebody with a browser of their own: what it keeps is shared by its tabs and by nobody else. */
export class Person {
  /** What nobody may complain of at the end. */
  complaints = [];
  #tolerated = [];

  /** `options` are those of a browser's context. */
  static async come(server, { viewport = DESKTOP, ...options } = {}) {
    const person = new Person();
    person.server = server;
    person.context = await browser.newContext({ viewport, locale: "en-GB", ...options });
    person.context.setDefaultTimeout(PATIENCE);
    await person.#watch();
    return person;
  }

  async #watch() {
    const complain = (text) => this.complaints.push(text);
    await this.context.exposeBinding("complain", (source, text) => complain(text));
    await this.context.addInitScript(() => {
      addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sample }) => {
        window.complain(`the policy forbids ${violatedDirective}: ${blockedURI} ${sample}`);
      });
    });
    this.context.on("console", (message) => {
      if (message.type() === "error") complain(`console: ${message.text()}`);
    });
    this.context.on("weberror", (error) => complain(`page: ${error.error().stack}`));
    this.context.on("dialog", (dialog) => {
      complain(`dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
    const isOurs = (address) => address.origin === this.server.url;
    await this.context.route((address) => !isOurs(address), (route) => {
      complain(`asked elsewhere: ${route.request().url()}`);
      return route.abort();
    });
    if (PAGE_FILES) await this.context.route(isOurs, fromFiles);
  }

  /** From now on this is no complaint; what it answers ends that. */
  tolerates(pattern) {
    this.#tolerated.push(pattern);
    const before = this.complaints.length;
    return () => {
      this.complaints.push(...this.complaints.splice(before).filter((text) => !pattern.test(text)));
      this.#tolerated = this.#tolerated.filter((one) => one !== pattern);
    };
  }

  /** What is left to complain of. */
  get left() {
    return this.complaints.filter((text) => !this.#tolerated.some((pattern) => pattern.test(text)));
  }

  /** Opens a tab at a view, such as `#/notes`. */
  async open(view = "") {
    const tab = new Tab(await this.context.newPage(), this.server);
    await tab.page.goto(`${this.server.url}/${view}`);
    return tab;
  }
}

/** A tab, with words for what tests do most. */
export class Tab {
  constructor(page, server) {
    this.page = page;
    this.server = server;
    const witness = async () => `${page.url()}\n${await page.locator("body").innerText({ timeout: 1000 })}`;
    witnesses.add(witness);
    page.on("close", () => witnesses.delete(witness));
  }

  /** Goes to a view as a link would lead there. */
  async go(view) {
    await this.page.evaluate((hash) => { location.hash = hash; }, view);
  }

  find(selector, options) {
    return this.page.locator(selector, options);
  }

  /** A link, button, heading or box by what it is called. */
  named(role, name, options) {
    return this.page.getByRole(role, { name, ...options });
  }

  /** Waits until something is seen; false if it does not come. */
  sees(selector, hasText) {
    const place = typeof selector === "string" ? this.find(selector, { hasText }) : selector;
    return place.first().waitFor().then(() => true, () => false);
  }

  /** Waits until something is not seen any more. */
  misses(selector, hasText) {
    const place = typeof selector === "string" ? this.find(selector, { hasText }) : selector;
    return place.first().waitFor({ state: "hidden" }).then(() => true, () => false);
  }

  /** Waits until the page says yes, frame by frame; false if it does not. */
  until(look, parameter) {
    return this.page.waitForFunction(look, parameter).then(() => true, () => false);
  }

  /** Waits until the address is so. */
  at(pattern) {
    return this.until((source) => new RegExp(source).test(location.hash), pattern.source);
  }

  /** Waits until the last answer is exactly this. */
  reads(text) {
    return this.until((wanted) => [...document.querySelectorAll(".exchange .answer")].at(-1)?.textContent === wanted, text);
  }

  /** Asks by typing. */
  async ask(question) {
    await this.find("#question").fill(question);
    await this.find("#question").press("Enter");
  }

  /** Waits until the last question is answered, or whatever else its end was. */
  isAnswered() {
    return this.until(() => [...document.querySelectorAll(".exchange")].at(-1)?.getAttribute("aria-busy") === "false");
  }
}

const TYPES = { ".html": "text/html", ".css": "text/css", ".mjs": "text/javascript", ".svg": "image/svg+xml" };

async function fromFiles(route) {
  const { pathname } = new URL(route.request().url());
  const file = pathname === "/" ? "index.html" : pathname.startsWith("/page/") ? pathname.slice("/page/".length) : null;
  if (file === null) return route.continue();
  const body = readFileSync(path.join(PAGE_FILES, file));
  if (file !== "index.html") return route.fulfill({ body, contentType: TYPES[path.extname(file)] });
  return route.fulfill({ response: await route.fetch(), body });
}
