// The calls of the page as columns in pre-order: the subtree of node i is i to end[i]. render/html/nodes.py writes them.
import { placesOf } from "./decode.mjs";

export const FLAG = { NO_ENTRY: 1, NO_EXIT: 2, CUT_BY_LOSS: 4, IN_TRACER: 8, DEPTH_JUMP: 16, PRE_EXEC: 32, MIGRATED: 64,
  NAME_UNRESOLVED: 256, START_UNKNOWN: 1024, CALLER_LOST: 2048 };

/** The tree that unpacked columns stand for.
 *
 * Times are ns as Numbers, exact up to 2 ** 53; `total` and `self` are -1 where they are not known, `floor` is the
 * least that a node took. `start` counts from `origin`. A node that `isInterrupt` stands above the calls of an
 * interrupt, or of several, and is no call; `depth` is the level without such nodes. `failed` says how many calls that
 * were left out, which a node counts, returned an error. `tracer` is what was taken out of totals because tracing took
 * it, an estimate, `uncertain` its uncertainty; undefined where times are as recorded. `site` is where it was called,
 * from 1, in the head's `sites`; undefined where no return addresses were recorded.
 */
export function restore(head, columns) {
  const n = head.n, interrupts = new Set(head.interrupts ?? []), noCalls = new Set([...interrupts, ...(head.tasks ?? [])]);
  const isInterrupt = (node) => interrupts.has(columns.label[node]);
  const parent = new Int32Array(n), end = new Int32Array(n), level = new Int16Array(n);
  const start = new Float64Array(n), total = new Float64Array(n), self = new Float64Array(n);
  const floor = new Float64Array(n), depth = interrupts.size ? new Int16Array(n) : level;
  const { pops, gap, tail, flags } = columns;
  const isOpen = new Uint8Array(n);
  for (const i of placesOf(columns["open.at"])) isOpen[i] = 1;

  // One slot a level: the node that is open there; where its last callee ended, what its callees took, whether that
  // is all of it, the least that they took.
  const at = [], ended = [], below = [], missing = [], least = [];
  let endOfRoot = 0, hasRoot = false, open = -1;

  const close = (next) => {
    const i = at[open], known = isOpen[i] === 0, hasCallee = end[i] < 0;
    const since = hasCallee ? ended[open] : start[i];
    end[i] = next;
    total[i] = known ? since + tail[i] - start[i] : -1;
    self[i] = known && !missing[open] ? total[i] - below[open] : -1;
    floor[i] = known ? total[i] : least[open];
    const done = known ? start[i] + total[i] : since;
    open -= 1;
    if (open < 0) {
      endOfRoot = done;
      hasRoot = true;
      return;
    }
    ended[open] = done;
    end[at[open]] = -1;
    if (flags[i] & FLAG.IN_TRACER) return;
    least[open] += floor[i];
    if (known) below[open] += total[i];
    else missing[open] = 1;
  };

  for (let i = 0; i < n; i++) {
    const here = open + 1 - pops[i];
    while (open >= here) close(i);
    const above = here > 0 ? at[open] : -1;
    const before = above < 0 ? (hasRoot ? endOfRoot : 0) : end[above] < 0 ? ended[open] : start[above];
    start[i] = before + gap[i];
    parent[i] = above;
    level[i] = here;
    if (interrupts.size && above >= 0) depth[i] = depth[above] + (isInterrupt(above) ? 0 : 1);
    open = here;
    at[open] = i;
    below[open] = missing[open] = least[open] = 0;
  }
  while (open >= 0) close(n);

  placesOf(columns["floor.at"] ?? []).forEach((i, k) => { floor[i] = columns.floor[k]; });
  // How long a node lasted, which is more than its total where something was taken out of that.
  const span = floor.slice(), { tracer, uncertain } = columns;
  if (tracer) for (let i = 0; i < n; i++) span[i] += tracer[i];
  placesOf(columns["span.at"] ?? []).forEach((i, k) => { span[i] += columns.span[k]; });
  placesOf(columns["self.at"]).forEach((i, k) => { self[i] = columns.self[k] - 1; });
  return { n, parent, end, level, depth, start, total, self, floor, span, flags, isInterrupt, label: columns.label, context: columns.context,
    cpu: columns.cpu, site: columns.site, errors: errorsOf(columns), asleep: fewOf(columns, "asleep"), preempted: fewOf(columns, "preempted"),
    irq: fewOf(columns, "irq"), unknown: fewOf(columns, "unknown"), failed: fewOf(columns, "failed"),
    tracer, uncertain, sums: sumsOf(n, columns, noCalls) };
}

/** Nodes that stand for several calls, or interrupts: node -> {count, min, max} (-1: not known); null where there are
 *  none, and nodes that are no calls neither.
 *
 * `before` holds how many calls stand before each node.
 */
function sumsOf(n, columns, noCalls) {
  const at = placesOf(columns["count.at"] ?? []), found = new Map();
  if (!at.length && !noCalls.size) return null;
  const before = new Float64Array(n + 1).fill(1, 1);
  at.forEach((node, k) => {
    found.set(node, { count: columns.count[k], min: columns.min[k] - 1, max: columns.max[k] - 1 });
    before[node + 1] = columns.count[k];
  });
  if (noCalls.size) for (let i = 0; i < n; i++) if (noCalls.has(columns.label[i])) before[i + 1] = 0;
  for (let i = 0; i < n; i++) before[i + 1] += before[i];
  return { get: (node) => found.get(node), before };
}

/** How long each node was at work at least: without what it was off the CPU, or may have been, or, where that is not known, without the calls
 *  of functions that wait (by label). */
export function workOf(tree, waits) {
  const idle = new Float64Array(tree.n);
  for (const part of [tree.asleep, tree.preempted, tree.unknown]) for (const [node, ns] of part) idle[node] += ns;
  if (!tree.asleep.size && !tree.unknown.size && waits.includes(1)) {
    for (let i = tree.n - 1; i >= 0; i--) {
      if (waits[tree.label[i]]) idle[i] = tree.floor[i];
      if (tree.parent[i] >= 0) idle[tree.parent[i]] += idle[i];
    }
  }
  return idle.map((ns, i) => Math.max(tree.floor[i] - ns, 0));
}

/** How many calls a node stands for, of an interrupt how many interrupts; of a task 1. */
export function countOf(tree, node) { return tree.sums?.get(node)?.count ?? 1; }

/** How many calls a node and all below it stand for; a task and an interrupt are none. */
export function callsIn(tree, node) {
  return tree.sums ? tree.sums.before[tree.end[node]] - tree.sums.before[node] : tree.end[node] - node;
}

/** Node -> value of a column that few nodes have: how long of their totals they were off the CPU, or in interrupts. */
function fewOf(columns, name) {
  const found = new Map();
  placesOf(columns[`${name}.at`] ?? []).forEach((node, k) => found.set(node, columns[name][k]));
  return found;
}

/** Node -> {code, sure} of the calls that returned an error; `nodes` in order. */
function errorsOf(columns) {
  const nodes = columns["error.at"] ? placesOf(columns["error.at"]) : new Int32Array(0);
  const found = new Map();
  nodes.forEach((node, k) => {
    const said = columns.error[k];
    found.set(node, { code: -Math.floor(said / 2), sure: said % 2 === 1 });
  });
  return { nodes, at: (node) => found.get(node) };
}

/** How many calls below `node` returned an error, those that were left out too. */
export function failedBelow(tree, node) {
  const { nodes } = tree.errors;
  let k = 0, high = nodes.length, n = 0;
  while (k < high) {
    const middle = (k + high) >> 1;
    if (nodes[middle] <= node) k = middle + 1;
    else high = middle;
  }
  for (; k < nodes.length && nodes[k] < tree.end[node]; k++) n += countOf(tree, nodes[k]);
  for (const [rest, failed] of tree.failed) if (rest > node && rest < tree.end[node]) n += failed;
  return n;
}

/** The callees of `node` (-1: the roots), in order. */
export function calleesOf(tree, node) {
  const found = [];
  const stop = node < 0 ? tree.n : tree.end[node];
  for (let i = node + 1; i < stop; i = tree.end[i]) found.push(i);
  return found;
}

/** The nodes from a root down to `node`. */
export function pathTo(tree, node) {
  const path = [];
  for (let i = node; i >= 0; i = tree.parent[i]) path.push(i);
  return path.reverse();
}
