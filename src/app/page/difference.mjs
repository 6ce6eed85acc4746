// Two texts, line by line: what is the same in both, and what is only in one of them.

/** Both texts in one, with the marks that people know from Git. */
export function merged(mine, theirs) {
  const parts = differences(mine, theirs);
  const out = [];
  for (let at = 0; at < parts.length; at += 1) {
    const { whose, lines } = parts[at];
    if (whose === "same") { out.push(...lines); continue; }
    const other = parts[at + 1]?.whose === "theirs" && whose === "mine" ? parts[at += 1].lines : [];
    const [ours, others] = whose === "mine" ? [lines, other] : [[], lines];
    out.push("<<<<<<< mine", ...ours, "=======", ...others, ">>>>>>> theirs");
  }
  return out.join("\n");
}

/** Cells of the table that is filled to compare two texts; beyond it they are told as two blocks. */
const CELLS_MAX = 4_000_000;

/** What is the same in two texts and what is not, line by line: `[{whose: "same" | "mine" | "theirs", lines}]`. */
export function differences(mine, theirs) {
  const [ours, others] = [mine.split("\n"), theirs.split("\n")];
  let head = 0;
  while (head < Math.min(ours.length, others.length) && ours[head] === others[head]) head += 1;
  let tail = 0;
  while (tail < Math.min(ours.length, others.length) - head && ours.at(-1 - tail) === others.at(-1 - tail)) tail += 1;
  const [a, b] = [ours.slice(head, ours.length - tail), others.slice(head, others.length - tail)];
  const parts = [{ whose: "same", lines: ours.slice(0, head) }, ...compared(a, b), { whose: "same", lines: ours.slice(ours.length - tail) }];
  return parts.filter(({ lines }) => lines.length > 0);
}

/** By the longest common subsequence. */
function compared(a, b) {
  if (a.length * b.length > CELLS_MAX) return [{ whose: "mine", lines: a }, { whose: "theirs", lines: b }];
  const width = b.length + 1;
  const common = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      common[i * width + j] = a[i] === b[j]
        ? common[(i + 1) * width + j + 1] + 1
        : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
    }
  }
  const parts = [];
  const tell = (whose, line) => {
    if (parts.at(-1)?.whose !== whose) parts.push({ whose, lines: [] });
    parts.at(-1).lines.push(line);
  };
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { tell("same", a[i]); i += 1; j += 1; }
    else if (i < a.length && (j === b.length || common[(i + 1) * width + j] >= common[i * width + j + 1])) { tell("mine", a[i]); i += 1; }
    else { tell("theirs", b[j]); j += 1; }
  }
  return parts;
}
