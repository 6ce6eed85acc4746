// Two texts, line by line.

import assert from "node:assert/strict";
import { test } from "node:test";

import { differences, merged } from "../../../src/app/page/difference.mjs";

const told = (mine, theirs) => differences(mine, theirs).map(({ whose, lines }) => `${whose}: ${lines.join("|")}`);

test("what is the same stands around what is not", () => {
  assert.deepEqual(told("a\nb\nc", "a\nx\nc"), ["same: a", "mine: b", "theirs: x", "same: c"]);
  assert.deepEqual(told("a\nb", "a\nb"), ["same: a|b"]);
  assert.deepEqual(told("a", "a\nb"), ["same: a", "theirs: b"]);
  assert.deepEqual(told("a\nb\nc\nd\ne", "b\nx\nd"), ["mine: a", "same: b", "mine: c", "theirs: x", "same: d", "mine: e"]);
});

test("each text can be put together again from the parts", () => {
  let seed = 7;
  const random = (below) => (seed = (seed * 1103515245 + 12345) % 2 ** 31) % below;
  for (let round = 0; round < 500; round += 1) {
    const text = () => Array.from({ length: random(12) }, () => "abc"[random(3)]).join("\n");
    const [mine, theirs] = [text(), text()];
    const without = (other) => differences(mine, theirs).filter(({ whose }) => whose !== other).flatMap(({ lines }) => lines).join("\n");
    assert.equal(without("theirs"), mine);
    assert.equal(without("mine"), theirs);
  }
});

test("texts that are too long to compare are told as two blocks, and nothing is lost", () => {
  const many = (word) => Array.from({ length: 3000 }, (_, at) => `${word} ${at}`).join("\n");
  assert.deepEqual(differences(many("a"), many("b")).map(({ whose, lines }) => [whose, lines.length]), [["mine", 3000], ["theirs", 3000]]);
});

test("both in one text have the marks of Git between them", () => {
  assert.equal(merged("a\nb\nc", "a\nx\nc"), "a\n<<<<<<< mine\nb\n=======\nx\n>>>>>>> theirs\nc");
  assert.equal(merged("a", "a\nb"), "a\n<<<<<<< mine\n=======\nb\n>>>>>>> theirs");
  assert.equal(merged("a\nb", "a"), "a\n<<<<<<< mine\nb\n=======\n>>>>>>> theirs");
});
