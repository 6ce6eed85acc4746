// The layout of the graph is a machine without a clock: what it does is counted in steps and pairs, never in time.

import assert from "node:assert/strict";
import { test } from "node:test";

import { STEPS_MAX, layout } from "../../../src/app/page/layout.mjs";

/** So many nodes, each linked to three that the numbers give. */
function net(count) {
  const nodes = Array.from({ length: count }, (_, index) => ({ id: `${index}` }));
  const edges = nodes.flatMap((_, index) => [1, 7, 31].map((factor) =>
    ({ source: `${index}`, target: `${(index * factor + 1) % Math.ceil((index + 2) / 2)}`, weight: 1 })));
  return { nodes, edges };
}

/** Steps until it is cold. */
function run(made) {
  let steps = 0;
  while (made.step()) {
    steps += 1;
    assert.ok(steps <= 10 * STEPS_MAX, "it does not end");
  }
  return steps;
}

const places = (made) => made.places.map(({ x, y }) => [x, y]);
const areFinite = (made) => places(made).flat().every(Number.isFinite);

test("the same graph has the same places", () => {
  const { nodes, edges } = net(80);
  const [one, other] = [layout(nodes, edges), layout(nodes, edges)];
  run(one);
  run(other);
  assert.deepEqual(places(one), places(other));
});

test("it is cold after so many steps and moves nothing any more", () => {
  const { nodes, edges } = net(60);
  const made = layout(nodes, edges);
  assert.ok(run(made) <= STEPS_MAX + 1);
  const before = places(made);
  assert.equal(made.step(), false);
  assert.deepEqual(places(made), before);
});

test("one that is warmed ends too", () => {
  const { nodes, edges } = net(20);
  const made = layout(nodes, edges);
  run(made);
  made.warm();
  const steps = run(made);
  assert.ok(steps > 0 && steps < STEPS_MAX);
});

test("a step of 500 nodes looks at less than the half of all pairs", () => {
  const { nodes, edges } = net(500);
  const made = layout(nodes, edges);
  let most = 0;
  while (made.step()) most = Math.max(most, made.pairs);
  assert.ok(most > 500, `${most} pairs: it did not look`);
  assert.ok(most < (500 * 499) / 2, `${most} pairs`);
});

test("the pairs of a step grow as the nodes do", () => {
  for (const count of [500, 1000, 2000]) {
    const { nodes, edges } = net(count);
    const made = layout(nodes, edges);
    for (let step = 0; step < 40; step += 1) {
      made.step();
      assert.ok(made.pairs <= 252 * count, `${made.pairs} pairs of ${count} nodes`);
    }
  }
});

test("2000 nodes on one place cost no more, and come apart", () => {
  const { nodes } = net(2000);
  const made = layout(nodes, [], new Map(nodes.map(({ id }) => [id, { x: 5, y: 5 }])));
  made.step();
  assert.ok(made.pairs <= 252 * 2000, `${made.pairs} pairs`);
  run(made);
  assert.ok(areFinite(made));
  assert.equal(new Set(places(made).map(String)).size, 2000);
});

test("a graph without edges, with one node and with none has places", () => {
  for (const count of [0, 1, 2, 30]) {
    const made = layout(net(count).nodes, []);
    run(made);
    assert.equal(made.places.length, count);
    assert.ok(areFinite(made));
  }
});

test("an edge from a node to itself or to one that is not there is no spring", () => {
  const made = layout([{ id: "a" }, { id: "b" }], [
    { source: "a", target: "a" }, { source: "a", target: "elsewhere" }, { source: "elsewhere", target: "b" }, { source: "a", target: "b" },
  ]);
  run(made);
  assert.equal(made.springs.length, 1);
  assert.ok(areFinite(made));
});

test("the first node is near the origin, and its neighbours are around it", () => {
  const nodes = Array.from({ length: 18 }, (_, index) => ({ id: `${index}` }));
  const made = layout(nodes, nodes.slice(1).map(({ id }) => ({ source: "0", target: id })));
  run(made);
  const [centre, ...others] = made.places;
  const far = ({ x, y }) => Math.hypot(x, y);
  assert.ok(far(centre) < 20, `${far(centre)}`);
  assert.ok(others.every((other) => far(other) > far(centre) + 20));
});

test("an edge holds two nodes nearer to each other than they are to the others", () => {
  const nodes = Array.from({ length: 12 }, (_, index) => ({ id: `${index}` }));
  const made = layout(nodes, [{ source: "3", target: "8" }]);
  run(made);
  const far = (one, other) => Math.hypot(made.places[one].x - made.places[other].x, made.places[one].y - made.places[other].y);
  assert.ok([1, 2, 4, 5, 6, 7, 9, 10, 11].every((other) => far(3, 8) < far(3, other)));
});

test("a node that was placed before begins where it stood, and a new one beside its neighbour", () => {
  const known = new Map([["a", { x: 300, y: -200 }]]);
  const made = layout([{ id: "a" }, { id: "b" }], [{ source: "b", target: "a" }], known);
  assert.ok(Math.hypot(made.places[0].x - 300, made.places[0].y + 200) < 0.1);
  assert.ok(Math.hypot(made.places[1].x - 300, made.places[1].y + 200) < 100);
});

test("a node that is held stays where it is", () => {
  const { nodes, edges } = net(30);
  const made = layout(nodes, edges);
  Object.assign(made.places[4], { isHeld: true, x: 77, y: 78 });
  run(made);
  assert.deepEqual([made.places[4].x, made.places[4].y], [77, 78]);
});
