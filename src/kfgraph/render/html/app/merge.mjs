// Calls with the same callers, all the way up, as one frame: what a flame graph shows.
import { FLAG, callsIn, countOf } from "./tree.mjs";

/** The frames of a tree, callers before callees.
 *
 * `time` is the least that the calls of a frame took, `calls` how many calls it and all below it are, `count` its own;
 * `slowest` is the node of its longest call, `self` what it took without its callees. `first` and `next` chain the
 * callees of a frame, the largest first by `weight`.
 */
export function merge(tree, nLabels) {
  const frameOf = new Int32Array(tree.n), known = new Map();
  const parent = [], label = [], level = [], time = [], calls = [], count = [], slowest = [], failed = [], context = [];
  for (let i = 0; i < tree.n; i++) {
    const above = tree.parent[i] < 0 ? -1 : frameOf[tree.parent[i]];
    // Its calls tell that they are in an interrupt: it needs no frame.
    if (tree.isInterrupt(i)) {
      frameOf[i] = above;
      continue;
    }
    const key = (above + 1) * nLabels + tree.label[i];
    let frame = known.get(key);
    if (frame === undefined) {
      frame = parent.length;
      known.set(key, frame);
      parent.push(above);
      label.push(tree.label[i]);
      level.push(above < 0 ? 0 : level[above] + 1);
      time.push(0);
      calls.push(0);
      count.push(0);
      failed.push(0);
      slowest.push(i);
      context.push(tree.context[i]);
    }
    frameOf[i] = frame;
    // An interrupt that hit the tracer is not part of its caller's time, nor drawn inside it.
    if (above < 0 || !(tree.flags[i] & FLAG.IN_TRACER)) time[frame] += tree.floor[i];
    calls[frame] += callsIn(tree, i);
    count[frame] += countOf(tree, i);
    if (tree.floor[i] > tree.floor[slowest[frame]]) slowest[frame] = i;
  }
  for (const node of tree.errors.nodes) failed[frameOf[node]] += countOf(tree, node);
  return { n: parent.length, parent, label, level, time, calls, count, failed, slowest, context, frameOf };
}

/** Where each frame begins and how wide it is, as parts of the whole: callees stand in their caller, widest first. */
export function layOut(frames, weight) {
  const by = frames[weight], callees = Array.from({ length: frames.n }, () => null), roots = [];
  for (let i = 0; i < frames.n; i++) {
    const above = frames.parent[i];
    if (above < 0) roots.push(i);
    else (callees[above] ??= []).push(i);
  }
  const x = new Float64Array(frames.n), width = new Float64Array(frames.n);
  const place = (some, at, room, whole) => {
    const sum = some.reduce((all, i) => all + by[i], 0);
    // Where callees took more than is known of their caller they share what there is.
    const unit = room / Math.max(whole, sum, Number.MIN_VALUE);
    some.sort((a, b) => by[b] - by[a] || a - b);
    for (const i of some) {
      x[i] = at;
      width[i] = by[i] * unit;
      at += width[i];
    }
  };
  place(roots, 0, 1, 0);
  for (let i = 0; i < frames.n; i++) if (callees[i]) place(callees[i], x[i], width[i], by[i]);
  return { x, width, roots, callees };
}
