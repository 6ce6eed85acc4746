// The graph: a note and what stands around it, drawn, and told once more as a list for who walks by keyboard or by ear.
// Frames are asked for only while something moves.

import { Refused, ask, words } from "./api.mjs";
import { announce, button, byId, counted, element, inAddress, memory } from "./dom.mjs";
import { layout, bounds, within } from "./layout.mjs";

// The picture.

/** What each kind is filled with, and how its corners are turned: kinds differ in shape and not only in colour. */
const FILLS = { note: "accent", missing: "ground", tag: "good", category: "warm" };
const TURNS = { tag: 0, category: Math.PI / 4 };

let [canvas, pen, frame, hovered, chosen] = [null, null, null, null, null];
let [width, height] = [0, 0];
const ink = {};
let net = layout([], []);
/** Where the origin is from the middle of the canvas, and how large all is. All stays in sight until somebody moves it. */
const view = { x: 0, y: 0, scale: 1, isFollowing: true };

function wake() {
  frame ??= requestAnimationFrame(() => {
    frame = null;
    const moves = net.step();
    const glides = view.isFollowing && follow(0.14);
    draw();
    if (moves || glides) wake();
  });
}

function watch(signal) {
  const sizes = new ResizeObserver(measure);
  sizes.observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", dress, { signal });
  document.addEventListener("themechange", dress, { signal });
  signal.addEventListener("abort", () => {
    sizes.disconnect();
    cancelAnimationFrame(frame);
    frame = null;
  });
  dress();
}

function dress() {
  // `light-dark()` is worked out only where it is the value of a colour.
  for (const name of ["ground", "line", "text", "quiet", "accent", "warm", "good"]) {
    canvas.style.color = `var(--${name})`;
    ink[name] = getComputedStyle(canvas).color;
  }
  ink.font = `12px ${getComputedStyle(canvas).fontFamily}`;
  wake();
}

function measure() {
  [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = Math.round(width * devicePixelRatio);
  canvas.height = Math.round(height * devicePixelRatio);
  if (view.isFollowing) follow(1);
  draw();
}

/** Shows these; the first is the centre. Who was there stays where it stood, and so does what is in sight. */
function place(nodes, edges) {
  const { x, y } = net.named.get(nodes[0].id) ?? { x: 0, y: 0 };
  const isNew = net.places.length === 0;
  view.x += x * view.scale;
  view.y += y * view.scale;
  net = layout(nodes, edges, new Map(net.places.map((known) => [known.id, { x: known.x - x, y: known.y - y }])));
  hovered = null;
  if (isCalm()) while (net.step());
  fit(isNew);
}

const isCalm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

function fit(isSudden = false) {
  view.isFollowing = true;
  if (isSudden || isCalm()) follow(1);
  wake();
}

/** Brings all nearer to being in sight; answers whether that goes on. */
function follow(share) {
  if (net.places.length === 0) return false;
  const { left, right, top, bottom } = bounds(net.places);
  const scale = within(0.1, Math.min((width - 110) / (right - left + 1), (height - 70) / (bottom - top + 1)), 1.8);
  const aim = { x: (-scale * (left + right)) / 2, y: (-scale * (top + bottom)) / 2, scale };
  const rest = Math.abs(aim.x - view.x) + Math.abs(aim.y - view.y) + 300 * Math.abs(scale - view.scale);
  for (const key of ["x", "y", "scale"]) view[key] += (aim[key] - view[key]) * share;
  return rest > 0.5;
}

const seen = ({ x, y }) => [width / 2 + view.x + x * view.scale, height / 2 + view.y + y * view.scale];
const radius = (node) =>
  ((node === net.places[0] ? 8 : 5) + 1.8 * Math.sqrt(Math.min(node.weight, 25))) * within(0.6, Math.sqrt(view.scale), 2);

function draw() {
  pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const lit = hovered ?? (chosen === net.places[0] ? null : chosen);
  const near = new Set([lit]);
  pen.lineWidth = 1.25;
  for (const isLit of [false, true]) {
    pen.strokeStyle = isLit ? ink.accent : ink.line;
    for (const isLink of [true, false]) {
      pen.setLineDash(isLink ? [] : [3, 4]);
      pen.beginPath();
      for (const { from, to, type } of net.springs) {
        if ((type === "link") !== isLink || (from === lit || to === lit) !== isLit) continue;
        if (isLit) near.add(from).add(to);
        pen.moveTo(...seen(from));
        pen.lineTo(...seen(to));
      }
      pen.stroke();
    }
  }
  pen.setLineDash([]);
  for (const node of net.places) {
    pen.globalAlpha = !lit || near.has(node) ? 1 : 0.25;
    dot(node);
  }
  pen.globalAlpha = 1;
  label([lit, chosen, ...net.places].filter((node) => node && (!lit || near.has(node))), lit !== null);
}

function dot(node) {
  const [x, y] = seen(node);
  const size = radius(node);
  const turn = TURNS[node.type];
  pen.beginPath();
  if (turn === undefined) pen.arc(x, y, size, 0, 7);
  else for (const at of [0, 1.5708, 3.1416, 4.7124]) pen.lineTo(x + size * Math.cos(turn + at), y + size * Math.sin(turn + at));
  pen.closePath();
  pen.fillStyle = ink[FILLS[node.type]];
  pen.fill();
  // A rim like the ground keeps those apart that overlap.
  pen.lineWidth = 1.5;
  pen.strokeStyle = node.type === "missing" ? ink.quiet : ink.ground;
  pen.stroke();
  if (node !== chosen && node !== net.places[0]) return;
  pen.beginPath();
  pen.arc(x, y, size + 3, 0, 7);
  pen.strokeStyle = node === chosen ? ink.text : ink.accent;
  pen.stroke();
}

/** The most important come first; one that would cover another has no place, and from afar small nodes have none. */
function label(nodes, isForced) {
  const taken = [];
  Object.assign(pen, { font: ink.font, textAlign: "center", textBaseline: "top", lineJoin: "round", lineWidth: 3 });
  Object.assign(pen, { strokeStyle: ink.ground, fillStyle: ink.text });
  for (const node of new Set(nodes)) {
    if (!isForced && node !== chosen && radius(node) < 5.5) continue;
    const text = node.label.length > 30 ? `${node.label.slice(0, 29)}…` : node.label;
    const half = (node.wide ??= pen.measureText(text).width) / 2 + 3;
    const [x, y] = seen(node);
    // Below it, else above it.
    const top = [y + radius(node) + 5, y - radius(node) - 16].find((at) =>
      !taken.some((other) => Math.abs(x - other.x) < half + other.half && Math.abs(at - other.top) < 15));
    // Nor may a label hide a node that is more important.
    taken.push({ x, half: radius(node), top: y - 7 });
    if (top === undefined) continue;
    taken.push({ x, half, top });
    pen.strokeText(text, x, top);
    pen.fillText(text, x, top);
  }
}

function zoom(factor, x = width / 2, y = height / 2) {
  const scale = within(0.1, view.scale * factor, 5);
  const [left, top, grown] = [x - width / 2, y - height / 2, scale / view.scale];
  Object.assign(view, { scale, x: left - (left - view.x) * grown, y: top - (top - view.y) * grown, isFollowing: false });
  wake();
}

function point(node) {
  if (hovered === node) return;
  hovered = node;
  wake();
}

function under(x, y, reach) {
  const far = (node) => Math.hypot(seen(node)[0] - x, seen(node)[1] - y) - radius(node);
  return net.places.reduce((best, node) => (far(node) <= (best ? far(best) : reach) ? node : best), null);
}

/** One pointer drags a node or the ground, two pinch, and one that did not move has clicked. */
function handle() {
  const pointers = new Map();
  let [grabbed, hasMoved] = [null, false];
  const middle = () => {
    const [one, other = one] = [...pointers.values()];
    return { x: (one[0] + other[0]) / 2, y: (one[1] + other[1]) / 2, wide: Math.hypot(one[0] - other[0], one[1] - other[1]) };
  };
  const grab = (node) => {
    if (grabbed) grabbed.isHeld = false;
    grabbed = node;
  };
  canvas.onpointerdown = ({ pointerId, pointerType, button: which, offsetX, offsetY }) => {
    if (which !== 0) return;
    canvas.setPointerCapture(pointerId);
    pointers.set(pointerId, [offsetX, offsetY]);
    hasMoved = pointers.size > 1;
    grab(hasMoved ? null : under(offsetX, offsetY, pointerType === "touch" ? 14 : 4));
  };
  canvas.onpointermove = ({ pointerId, offsetX, offsetY }) => {
    const from = pointers.get(pointerId);
    if (!from) {
      point(under(offsetX, offsetY, 4));
      canvas.style.cursor = hovered ? "pointer" : "grab";
      return;
    }
    if (!hasMoved && Math.hypot(offsetX - from[0], offsetY - from[1]) < 5) return;
    const before = middle();
    pointers.set(pointerId, [offsetX, offsetY]);
    const now = middle();
    hasMoved = true;
    view.isFollowing = false;
    if (grabbed) {
      grabbed.isHeld = true;
      grabbed.x += (now.x - before.x) / view.scale;
      grabbed.y += (now.y - before.y) / view.scale;
      if (!isCalm()) net.warm();
    } else {
      view.x += now.x - before.x;
      view.y += now.y - before.y;
      if (before.wide > 0) zoom(now.wide / before.wide, now.x, now.y);
    }
    wake();
  };
  canvas.onpointerup = canvas.onpointercancel = ({ type, pointerId }) => {
    if (!pointers.delete(pointerId)) return;
    if (type === "pointerup" && !hasMoved && grabbed) walk(grabbed);
    grab(null);
    hasMoved = true;
  };
  canvas.onpointerleave = () => point(null);
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    // A pinch on a touchpad comes as a small wheel with Control.
    zoom(Math.exp(-within(-300, event.deltaY * (event.ctrlKey ? 6 : 1), 300) / 600), event.offsetX, event.offsetY);
  }, { passive: false });
  canvas.onkeydown = (event) => {
    const from = chosen ?? net.places[0];
    if (event.key === "Enter") walk(from, "graph-canvas");
    const [right, down] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key] ?? [];
    if (right === undefined) return;
    event.preventDefault();
    // Of two as far away the one that is straight ahead is nearer; what is more aside than ahead does not count.
    const far = ({ x, y }) => {
      const [ahead, aside] = [(x - from.x) * right + (y - from.y) * down, Math.abs((x - from.x) * down + (y - from.y) * right)];
      return aside < ahead ? ahead + 2 * aside : Infinity;
    };
    choose(net.places.reduce((best, node) => (far(node) < far(best) ? node : best), from));
    const [x, y] = seen(chosen);
    view.x += within(0, x, width) - x;
    view.y += within(0, y, height) - y;
  };
}

// The page around it.

/** What an edge is, seen from its source and from its target. */
const RELATIONS = {
  link: ["Links to", "Linked from"],
  dangling: ["Names, not written yet", "Named by"],
  tagged: ["Tags", "Notes with this tag"],
  in_category: ["Category", "Notes in it"],
};
const KINDS = { missing: "Not written yet", tag: "Tag", category: "Category" };

/** Notes in the list when none is chosen. */
const LISTED_MAX = 20;

let [path, depth, page] = ["", "1", null];
const wanted = memory.read("graph") ?? { tags: false, missing: true };
/** What gets the focus behind a walk, so that who walks by keyboard goes on the same way. */
let refocus = null;

/** Opens `#/graph` or `#/graph/PATH?depth=2`. */
export async function show(parts, query, signal) {
  if (!canvas) build();
  watch(signal);
  path = parts.join("/");
  depth = ["2", "3"].find((known) => known === query.get("depth")) ?? "1";
  byId("graph-depth").value = depth;
  byId("graph-around").hidden = path === "";
  const around = path === "" ? "" : `around=${encodeURIComponent(path)}&depth=${depth}&`;
  try {
    page = await ask("GET", `/knowledge/graph?${around}limit=500`, { signal });
    fill();
  } catch (error) {
    if (signal.aborted || !(error instanceof Refused)) throw error;
    say(error.status === 404 ? `There is no note ${path}.` : words(error), "#/graph", "All notes");
  }
}

const addressOf = (id) => `#/graph/${inAddress(id)}${depth === "1" ? "" : `?depth=${depth}`}`;

function walk(node, focus = null) {
  refocus = focus;
  if (node.type === "note" && node.id !== path) location.hash = addressOf(node.id);
  else choose(node);
}

function choose(node) {
  chosen = node;
  tell();
  announce(`${node.label}, ${KINDS[node.type] ?? "Note"}, ${counted(node.degree, "edge")}`);
  wake();
}

function build() {
  const box = (key, label) => element("label", { class: "inline" }, element("input", {
    type: "checkbox", id: `graph-${key}`, checked: wanted[key], onchange: ({ target }) => {
      wanted[key] = target.checked;
      memory.write("graph", wanted);
      fill();
    },
  }), ` ${label}`);
  const depths = element("select", {
    id: "graph-depth", onchange: ({ target }) => location.replace(`#/graph/${inAddress(path)}?depth=${target.value}`),
  }, [1, 2, 3].map((far) => element("option", { value: far }, counted(far, "link"))));
  canvas = element("canvas", { id: "graph-canvas", role: "img", tabindex: "0", "aria-describedby": "graph-hint" });
  pen = canvas.getContext("2d");
  const panel = element("aside", { id: "graph-panel", "aria-labelledby": "graph-chosen" });
  for (const name of ["focusin", "pointerover"]) {
    panel.addEventListener(name, ({ target }) => point(net.named.get(target.dataset.id) ?? null));
  }
  panel.onpointerleave = () => point(null);
  byId("graph").replaceChildren(
    element("h1", { id: "graph-title" }, "Graph"),
    element("p", { id: "graph-state", class: "quiet" }, "Reading…"),
    element("div", { id: "graph-body", hidden: true },
      element("div", {},
        element("div", { class: "row" },
          element("span", { id: "graph-around", class: "row" },
            element("label", { class: "inline" }, "As far as ", depths), element("a", { href: "#/graph" }, "All notes")),
          box("tags", "Tags and categories"), box("missing", "Missing notes"),
          element("span", { class: "row graph-zoom" },
            button("−", () => zoom(1 / 1.3), { "aria-label": "Zoom out" }), button("+", () => zoom(1.3), { "aria-label": "Zoom in" }),
            button("Fit", () => fit()))),
        canvas,
        element("p", { id: "graph-caption", class: "quiet" }),
        element("p", { id: "graph-hint", class: "quiet" },
          "A click on a note walks there; drag to move, scroll or pinch to zoom. Arrow keys choose, Enter walks.")),
      panel));
  handle();
}

/** Says something in place of a picture. */
function say(text, href, name) {
  byId("graph-title").textContent = "Graph";
  byId("graph-body").hidden = true;
  byId("graph-state").hidden = false;
  byId("graph-state").replaceChildren(text, " ", element("a", { href }, name));
}

/** Shows what of the page is wanted. */
function fill() {
  const nodes = page.graph.nodes.filter(({ type }) => type === "note" || (type === "missing" ? wanted.missing : wanted.tags))
    .sort((one, other) => (other.id === path) - (one.id === path) || other.weight - one.weight);
  if (nodes.length === 0) return say(page.complete ? "There is no note yet." : "The folder is being read.", "#/new-note", "Write a note");
  byId("graph-state").hidden = true;
  byId("graph-body").hidden = false;
  place(nodes, page.graph.edges);
  chosen = path === "" ? null : net.places[0];
  tell();
  const count = (list, ...types) => list.filter(({ type }) => types.includes(type)).length;
  const tags = count(nodes, "tag", "category");
  const told = `${counted(count(nodes, "note"), "note")}${tags ? `, ${tags} tags and categories` : ""} and `
    + `${counted(count(net.springs, "link", "dangling"), "link")}${chosen ? ` around ${chosen.label}` : ""}`;
  byId("graph-title").textContent = chosen ? `Around ${chosen.label}` : "All notes";
  canvas.setAttribute("aria-label", told);
  byId("graph-caption").textContent = `${told}.${page.truncated || page.next ? " There is more than one picture holds." : ""}`
    + `${page.complete ? "" : " The folder is still being read."}`;
  if (refocus) byId(refocus).focus({ preventScroll: true });
  refocus = null;
}

/** The chosen node in words, or where one could begin. */
function tell() {
  const groups = [];
  if (!chosen) groups.push(["Notes with most links", net.places.filter(({ type }) => type === "note").slice(0, LISTED_MAX)]);
  for (const [type, relations] of Object.entries(RELATIONS)) {
    const edges = net.springs.filter((edge) => edge.type === type);
    groups.push([relations[0], edges.filter(({ from }) => from === chosen).map(({ to }) => to)]);
    groups.push([relations[1], edges.filter(({ to }) => to === chosen).map(({ from }) => from)]);
  }
  byId("graph-panel").replaceChildren(
    element("h2", { id: "graph-chosen", tabindex: "-1" }, chosen?.label ?? "Where to begin"),
    element("p", { class: "quiet" }, chosen ? KINDS[chosen.type] ?? chosen.id : ""),
    chosen?.type === "note" ? element("a", { class: "button", href: `#/note/${inAddress(chosen.id)}` }, "Open the note") : "",
    ...groups.filter(([, nodes]) => nodes.length > 0).flatMap(([relation, nodes]) => [
      element("h3", {}, relation, " ", element("span", { class: "quiet" }, nodes.length)),
      element("ul", { class: "plain list" }, nodes.map((node) => element("li", {}, entry(node))))]),
    chosen?.degree === 0 ? element("p", { class: "quiet" }, "No link leads from here, and none here.") : "");
}

const entry = ({ id, label, type }) => (type === "note"
  ? element("a", { href: addressOf(id), data: { id }, onclick: () => { refocus = "graph-chosen"; } }, label)
  : button(label, () => {
    choose(net.named.get(id));
    byId("graph-chosen").focus();
  }, { data: { id }, class: "bare" }));
