// Places for the nodes of a graph: nodes push each other away, edges are springs, and all of it cools down, so it ends.
//
// A machine of its own, with no clock and no chance in it: the same graph is always laid out in the same way.

/** Steps until a layout is cold: four seconds of a usual screen. */
export const STEPS_MAX = 240;
const COLD = 0.004;

/** How hard nodes push, how long an edge would like to be, how hard all is drawn to the middle, the longest way in a step. */
const PUSH = 700;
const LENGTH = 60;
const GRAVITY = 0.04;
const WAY_MAX = 50;

/** Squares along a side of the plane, and how many nodes of one are looked at one by one. */
const SQUARES = 12;
const CROWD_MAX = 12;

/**
 * Finds places for nodes: `places` are the nodes with `x` and `y`, `springs` the edges with the places at their ends. `step()`
 * improves them until it answers false. The first node is drawn to the origin. `known` has the places from before, by id.
 */
export function layout(nodes, edges, known = new Map()) {
  const places = nodes.map((node) => ({ ...node, dx: 0, dy: 0, degree: 0 }));
  const named = new Map(places.map((place) => [place.id, place]));
  const springs = edges.map((edge) => ({ ...edge, from: named.get(edge.source), to: named.get(edge.target) }))
    .filter(({ from, to }) => from && to && from !== to);
  for (const { from, to } of springs) {
    from.degree += 1;
    to.degree += 1;
    from.beside ??= known.get(to.id);
    to.beside ??= known.get(from.id);
  }
  // Like the seeds of a sunflower: even, and no two on one place. Who is new begins beside one who is known.
  places.forEach((place, index) => {
    const { x, y } = place.beside ?? { x: 0, y: 0 };
    const away = 30 * (place.beside ? 1 : Math.sqrt(index));
    Object.assign(place, { x: x + away * Math.cos(index * 2.4), y: y + away * Math.sin(index * 2.4) }, known.get(place.id));
    // Two that were known to be on the very same place have no way apart.
    place.x += index / 1000;
  });

  let heat = known.size > 0 ? 0.5 : 1;
  return {
    places, springs, named,
    /** Pairs that the last step looked at. */
    pairs: 0,
    warm() { heat = Math.max(heat, 0.25); },
    step() {
      if (heat < COLD || places.length === 0) return false;
      heat *= COLD ** (1 / STEPS_MAX);
      this.pairs = push(places, heat * PUSH);
      for (const spring of springs) pull(spring, heat);
      // What no edge holds would be driven far out.
      places.forEach((place, index) => move(place, heat * GRAVITY * (index === 0 || place.degree === 0 ? 6 : 1)));
      return true;
    },
  };
}

/** Those in a square far away, or in a crowded one, push as one: n nodes look at 252 n pairs at most, and not at n². */
function push(places, strength) {
  const { left, right, top, bottom } = bounds(places);
  const side = Math.max(right - left, bottom - top, 1) / (SQUARES - 0.01);
  const squares = new Map();
  for (const place of places) {
    const [column, row] = [Math.floor((place.x - left) / side), Math.floor((place.y - top) / side)];
    const key = column * SQUARES + row;
    if (!squares.has(key)) squares.set(key, { column, row, x: 0, y: 0, members: [] });
    const square = squares.get(key);
    square.x += place.x;
    square.y += place.y;
    square.members.push(place);
  }
  let pairs = 0;
  for (const home of squares.values()) {
    // What pushes the members of this square: x, y and how many, and so on.
    const others = [];
    for (const { column, row, x, y, members } of squares.values()) {
      const isNear = Math.max(Math.abs(column - home.column), Math.abs(row - home.row)) < 2;
      if (isNear && members.length <= CROWD_MAX) for (const other of members) others.push(other.x, other.y, 1);
      else others.push(x / members.length, y / members.length, members.length);
    }
    for (const place of home.members) {
      let [dx, dy] = [0, 0];
      for (let at = 0; at < others.length; at += 3) {
        const x = place.x - others[at];
        const y = place.y - others[at + 1];
        const force = others[at + 2] / Math.max(x * x + y * y, 30);
        dx += x * force;
        dy += y * force;
      }
      place.dx += dx * strength;
      place.dy += dy * strength;
    }
    pairs += (home.members.length * others.length) / 3;
  }
  return pairs;
}

function pull({ from, to, weight = 1 }, heat) {
  const [x, y] = [to.x - from.x, to.y - from.y];
  // One with many edges is heavy: the others come to it. And each of its edges pulls less, or they would shake it.
  const force = (heat * weight * (1 - LENGTH / (Math.hypot(x, y) || 1))) / Math.min(from.degree, to.degree);
  const share = from.degree / (from.degree + to.degree);
  from.dx += x * force * (1 - share);
  from.dy += y * force * (1 - share);
  to.dx -= x * force * share;
  to.dy -= y * force * share;
}

function move(place, gravity) {
  const way = (speed, at) => (place.isHeld ? 0 : within(-WAY_MAX, 0.6 * (speed - at * gravity), WAY_MAX));
  place.dx = way(place.dx, place.x);
  place.dy = way(place.dy, place.y);
  place.x += place.dx;
  place.y += place.dy;
}

export const within = (least, value, most) => Math.max(least, Math.min(most, value));

export function bounds(places) {
  const [xs, ys] = [places.map(({ x }) => x), places.map(({ y }) => y)];
  return { left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) };
}
