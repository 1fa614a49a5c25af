// The parts of the page that need no browser: node --test tests/html
import assert from "node:assert/strict";
import { test } from "node:test";
import { siteOf } from "../../src/kfgraph/render/html/app/details.mjs";
import { fromPlanes, halvesFromPlanes, placesOf } from "../../src/kfgraph/render/html/app/decode.mjs";
import { MANY, Rows } from "../../src/kfgraph/render/html/app/fold.mjs";
import { shares, sortedBy } from "../../src/kfgraph/render/html/app/functions.mjs";
import { layOut, merge } from "../../src/kfgraph/render/html/app/merge.mjs";
import { Search, nextIn } from "../../src/kfgraph/render/html/app/search.mjs";
import { keysOf, lanesOf, ranOn, stepOf } from "../../src/kfgraph/render/html/app/timeline.mjs";
import { shape, worth } from "../../src/kfgraph/render/html/app/svg.mjs";
import { FLAG, calleesOf, callsIn, countOf, failedBelow, pathTo, restore, workOf } from "../../src/kfgraph/render/html/app/tree.mjs";
import { averageNs, formatCount, formatNs, formatShare, plural } from "../../src/kfgraph/render/html/app/units.mjs";

/** The restored tree of rows [label, level, start, total, flags]; total -1: not known. */
function treeOf(rows, { errors = [], selves = [], sums = [], interrupts = [], asleep = [], unknown = [], cpus = [] } = {}) {
  const n = rows.length, gap = [], tail = [], pops = [], open = [];
  const callees = rows.map(() => []), roots = [];
  const stack = [];
  rows.forEach(([, level], i) => {
    pops.push(i ? rows[i - 1][1] + 1 - level : 0);
    stack.length = level;
    (level ? callees[stack[level - 1]] : roots).push(i);
    stack[level] = i;
  });
  const ended = (i) => (rows[i][3] >= 0 ? rows[i][2] + rows[i][3] : callees[i].length ? ended(callees[i].at(-1)) : rows[i][2]);
  const walk = (some, from) => {
    let before = from;
    for (const i of some) {
      const [, , start, total] = rows[i];
      gap[i] = start - before;
      const since = callees[i].length ? ended(callees[i].at(-1)) : start;
      tail[i] = total >= 0 ? start + total - since : 0;
      if (total < 0) open.push(i);
      walk(callees[i], start);
      before = ended(i);
    }
  };
  walk(roots, 0);
  const steps = (at) => at.map((place, k) => place - (k ? at[k - 1] : 0));
  open.sort((a, b) => a - b);
  return restore({ n, interrupts }, {
    label: rows.map((row) => row[0]), pops, gap, tail, flags: rows.map((row) => row[4] ?? 0), "open.at": steps(open),
    "self.at": steps(selves.map(([at]) => at)), self: selves.map(([, ns]) => ns + 1),
    "error.at": steps(errors.map(([at]) => at)), error: errors.map(([, code, sure]) => -2 * code + (sure ? 1 : 0)),
    "count.at": steps(sums.map(([at]) => at)), count: sums.map(([, count]) => count), min: sums.map(([, , min]) => min + 1),
    max: sums.map(([, , , max]) => max + 1), context: [], cpu: cpus,
    "asleep.at": steps(asleep.map(([at]) => at)), asleep: asleep.map(([, ns]) => ns),
    "unknown.at": steps(unknown.map(([at]) => at)), unknown: unknown.map(([, ns]) => ns),
  });
}

const names = (rows) => Array.from({ length: rows.length }, (_, row) => {
  const id = rows.id(row), special = rows.special(id);
  const name = special ? (special.kind === "loss" ? "loss" : `${special.label}x${special.members.length}`) : id;
  return `${" ".repeat(rows.depth(row))}${name}`;
});

test("planes are the bytes of each value, the lowest first", () => {
  const bytes = Uint8Array.from([1, 255, 2, 1, 0, 0, 9]);
  assert.deepEqual([...fromPlanes(bytes, 0, 2, 3, false)], [0x000201, 0x0001ff]);
  assert.deepEqual([...fromPlanes(bytes, 0, 3, 0, false)], [0, 0, 0]);
  assert.deepEqual([...fromPlanes(Uint8Array.from([0, 1, 2, 3, 4]), 0, 5, 1, true)], [0, -1, 1, -2, 2]);
  // Six planes: more than 32 bits, still exact.
  const wide = Uint8Array.from([0xff, 0xff, 0xff, 0xff, 0xff, 0x1f]);
  assert.deepEqual([...fromPlanes(wide, 0, 1, 6, false)], [0x1fffffffffff]);
  const { low, high } = halvesFromPlanes(Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 255]), 0, 1, 8);
  assert.deepEqual([low[0], high[0]], [0x04030201, 0xff070605]);
  assert.deepEqual([...placesOf([3, 1, 5])], [3, 4, 9]);
});

test("times, self times and the shape come back", () => {
  const tree = treeOf([[0, 0, 100, 1000], [1, 1, 150, 200], [2, 2, 160, 50], [1, 1, 400, 300], [3, 0, 2000, 5]]);
  assert.deepEqual([...tree.start], [100, 150, 160, 400, 2000]);
  assert.deepEqual([...tree.total], [1000, 200, 50, 300, 5]);
  assert.deepEqual([...tree.self], [500, 150, 50, 300, 5]);
  assert.deepEqual([...tree.end], [4, 3, 3, 4, 5]);
  assert.deepEqual([...tree.parent], [-1, 0, 1, 0, -1]);
  assert.deepEqual(calleesOf(tree, -1), [0, 4]);
  assert.deepEqual(calleesOf(tree, 0), [1, 3]);
  assert.deepEqual(pathTo(tree, 2), [0, 1, 2]);
});

test("what is not known stays so, and no interrupt in the tracer is taken from its caller", () => {
  const tree = treeOf([[0, 0, 0, -1], [1, 1, 10, 30], [2, 1, 50, -1], [3, 2, 60, 7], [4, 1, 90, 100, FLAG.IN_TRACER],
    [5, 0, 300, 50], [6, 1, 310, 20, FLAG.IN_TRACER], [7, 1, 335, 5]], { selves: [[7, 3]] });
  assert.deepEqual([...tree.total], [-1, 30, -1, 7, 100, 50, 20, 5]);
  assert.deepEqual([...tree.floor], [37, 30, 7, 7, 100, 50, 20, 5]);
  assert.deepEqual([...tree.self], [-1, 30, -1, 7, 100, 45, 20, 3]);
  assert.deepEqual([...tree.start], [0, 10, 50, 60, 90, 300, 310, 335]);
});

/** A task above: two of label 1, then six of label 2 of which the fourth failed, then one of label 1. */
const loop = () => treeOf([[9, 0, 0, 100], [1, 1, 0, 1], [1, 1, 1, 1],
  ...[1, 2, 3, 40, 5, 6, 7, 8, 9].map((ns, k) => [2, 1, 10 * k + 2, ns]), [1, 1, 95, 2], [3, 2, 95, 1]],
  { errors: [[6, -19, true]] });

test("many siblings of one function are one row; what failed stays apart", () => {
  const rows = new Rows(loop());
  assert.deepEqual(names(rows), ["0"]);
  assert.equal(MANY, 4);
  assert.equal(rows.open(0), 8);
  assert.deepEqual(names(rows), ["0", " 1", " 2", " 3", " 4", " 5", " 6", " 2x5", " 12"]);
  const group = rows.special(rows.id(7));
  assert.deepEqual([group.total, group.min, group.max, group.open], [35, 5, 9, 0]);
  assert.equal(rows.open(7), 5);
  assert.equal(rows.length, 14);
  assert.deepEqual([rows.depth(8), rows.depth(13)], [2, 1]);
  assert.equal(rows.close(0), 13);
  assert.deepEqual(names(rows), ["0"]);
});

test("the self time of a row of several calls is what is known of it", () => {
  const four = (selves) => new Rows(treeOf([[9, 0, 0, 100], ...[1, 2, 3, 4].map((ns, k) => [2, 1, 10 * k, ns])], { selves }));
  for (const [selves, expected] of [
    [[], 10], [[[2, -1]], 8], [[1, 2, 3, 4].map((node) => [node, -1]), -1], [[1, 2, 3, 4].map((node) => [node, node < 4 ? -1 : 0]), 0],
  ]) {
    const rows = four(selves);
    rows.open(0);
    assert.equal(rows.special(rows.id(1)).self, expected);
  }
});

test("the largest first: siblings of one function together, wherever they stand", () => {
  const rows = new Rows(loop(), { order: "total" });
  rows.open(0);
  assert.deepEqual(names(rows), ["0", " 2x8", " 6", " 12", " 1", " 2"]);
});

test("the hot path goes into a group only where a call of it stands out", () => {
  const rows = new Rows(loop(), { order: "total" });
  const row = rows.openHot(rows.longestRoot());
  assert.equal(rows.id(row), 11);
  assert.deepEqual(names(rows).slice(0, 3), ["0", " 2x8", "  11"]);
  const even = new Rows(treeOf([[9, 0, 0, 100], ...Array.from({ length: 20 }, (_, k) => [1, 1, 5 * k, 5])]), { order: "total" });
  assert.equal(even.openHot(0), 1);
  assert.deepEqual(names(even), ["0", " 1x20"]);
});

test("any call can be shown, in a group too, and each opens only what is above it", () => {
  for (const order of ["time", "total", "self"]) {
    for (let node = 0; node < 14; node++) {
      const rows = new Rows(loop(), { order });
      const row = rows.reveal(node);
      assert.equal(rows.id(row), node, `${order} ${node}`);
      assert.equal(rows.reveal(node), row, "and it stays where it is");
      for (let up = rows.above(row); up >= 0; up = rows.above(up)) assert.ok(rows.isOpen(up));
    }
  }
});

test("opening and closing is what a plain model does", () => {
  // A plain model: nested lists, flattened anew each time.
  const tree = loop();
  let seed = 7;
  const random = (n) => (seed = (seed * 1103515245 + 12345) % 2 ** 31) % n;
  const rows = new Rows(tree);
  const opened = new Set();
  const flat = () => {
    const found = [];
    const walk = (ids, depth) => {
      for (const id of ids) {
        found.push([id, depth]);
        if (opened.has(id)) walk(rows.special(id) ? [...rows.special(id).members] : made.get(id), depth + 1);
      }
    };
    walk(calleesOf(tree, -1), 0);
    return found;
  };
  const made = new Map();
  for (let step = 0; step < 300; step++) {
    const row = random(rows.length), id = rows.id(row);
    if (!rows.canOpen(row)) continue;
    if (rows.isOpen(row)) {
      const stop = rows.endOf(row);
      for (let i = row; i < stop; i++) opened.delete(rows.id(i));
      rows.close(row);
    } else {
      const n = rows.open(row);
      made.set(id, [...rows.ids.subarray(row + 1, row + 1 + n)]);
      opened.add(id);
    }
    assert.deepEqual(Array.from({ length: rows.length }, (_, i) => [rows.id(i), rows.depth(i)]), flat());
  }
});

test("a loss stands where it happened", () => {
  const losses = [{ node: 0, before: 2, text: "!! 3 records lost" }, { node: 0, before: -1, text: "!! lost" }];
  const rows = new Rows(loop(), { losses });
  rows.open(0);
  assert.deepEqual(names(rows).slice(1, 4), [" 1", " loss", " 2"]);
  assert.equal(names(rows).at(-1), " loss");
  assert.ok(!rows.canOpen(2));
});

test("a search finds calls by the names of their functions", () => {
  const tree = loop(), labels = ["a", "kfree", "vfs_open", "KF", "", "", "", "", "", "sh-1"];
  assert.deepEqual(new Search("kf", labels, tree).nodes, [1, 2, 12, 13]);
  assert.deepEqual(new Search("/^vfs/", labels, tree).nodes, [3, 4, 5, 6, 7, 8, 9, 10, 11]);
  assert.ok(new Search("/(/", labels, tree).problem);
  assert.deepEqual([nextIn([2, 5, 9], 5, 1), nextIn([2, 5, 9], 5, -1), nextIn([2, 5, 9], 9, 1), nextIn([2, 5, 9], 2, -1), nextIn([], 2, 1)], [2, 0, 0, 2, -1]);
});

test("functions sort by any column, what is not known last", () => {
  const functions = { name: ["b", "a", "c"], self_ns: [5, 9, -1] };
  assert.deepEqual(sortedBy(functions, "self_ns"), [1, 0, 2]);
  assert.deepEqual(sortedBy(functions, "name"), [1, 0, 2]);
  assert.deepEqual(sortedBy(functions, "name", true), [2, 0, 1]);
  const waiting = { ...functions, self_ns: [5, 9, 1], waits: [false, true, false] };
  assert.deepEqual(sortedBy(waiting, "self_ns"), [0, 2, 1], "waiting heads no table");
  assert.deepEqual(sortedBy(waiting, "self_ns", true), [2, 0, 1]);
  assert.deepEqual(sortedBy(waiting, "name"), [1, 0, 2]);
  assert.deepEqual(shares({ ...waiting, self_ns: [3, 9, -1] }, 6), [0.5, -1, -1]);
});

test("the timeline explains the colours that occur", () => {
  const page = (tree, sleeps = [], losses = []) => ({ tree, head: { losses }, asleep: Uint8Array.from([0, 1, 2, 3, 4], (i) => +sleeps.includes(i)) });
  const quiet = treeOf([[0, 0, 0, 100], [1, 1, 0, 10]]);
  assert.deepEqual(keysOf(page(quiet)), []);
  assert.deepEqual(keysOf(page(quiet, [4])), []);
  assert.deepEqual(keysOf(page(quiet, [1], [{ at: 5 }])), [["asleep", "asleep"], ["lost", "records lost"]]);
  assert.deepEqual(keysOf(page(treeOf([[0, 0, 0, 100], [1, 1, 0, 10]], { errors: [[1, -19, true]] }))), [["failed", "✗ error"]]);
  const hit = (context) => ({ ...quiet, context: [0, context] });
  assert.deepEqual([2, 255].map((context) => keysOf(page(hit(context)))), [[["irq", "interrupt"]], []]);
});

test("numbers read as they do on the terminal", () => {
  assert.deepEqual([0, 999, 1000, 999_999.6, 1_500_000, 2_000_000_000, -1].map((ns) => formatNs(ns)),
    ["0 ns", "999 ns", "1.000 us", "1.000 ms", "1.500 ms", "2.000 s", "?"]);
  assert.deepEqual([[12_350, 1], [1_234_500, 3], [999_950, 1], [999_999_500, 3], [2_500_000_000, 0]].map(([ns, digits]) => formatNs(ns, digits)),
    ["12.4 us", "1.235 ms", "1.0 ms", "1.000 s", "3 s"], "half of the last digit is rounded up");
  assert.deepEqual([[5, 2], [7, 3], [8, 3], [2469, 2]].map(([total, n]) => averageNs(total, n)), [3, 2, 3, 1235]);
  assert.equal(formatCount(1234567), "1,234,567");
  assert.deepEqual([0.1234, 0.0004, 0, -1, NaN].map(formatShare), ["12.3 %", "<0.1 %", "0.0 %", "", ""]);
  assert.deepEqual([plural(1, "call"), plural(2, "loss"), plural(1000, "match")], ["1 call", "2 losses", "1,000 matches"]);
});

test("calls with the same callers are one frame, and frames fill their caller", () => {
  const tree = treeOf([[0, 0, 0, 100], [1, 1, 0, 10], [2, 2, 2, 4], [3, 1, 20, 50], [1, 1, 75, 15], [2, 2, 76, 3], [2, 2, 80, 2],
    [4, 1, 95, 40, FLAG.IN_TRACER]], { errors: [[5, -19, true]] });
  const frames = merge(tree, 5);
  assert.deepEqual(frames.label, [0, 1, 2, 3, 4]);
  assert.deepEqual(frames.time, [100, 25, 9, 50, 0]);
  assert.deepEqual(frames.calls, [8, 5, 3, 1, 1]);
  assert.deepEqual([frames.count, frames.slowest, frames.failed], [[1, 2, 3, 1, 1], [0, 4, 2, 3, 7], [0, 0, 1, 0, 0]]);
  const { x, width, callees } = layOut(frames, "time");
  assert.deepEqual(callees[0], [3, 1, 4]);
  assert.deepEqual([...x], [0, 0.5, 0.5, 0, 0.75]);
  assert.deepEqual([...width].map((w) => Number(w.toFixed(6))), [1, 0.25, 0.09, 0.5, 0]);
});

test("nodes that stand for several calls count as many, in rows, frames and searches", () => {
  const rows = [[9, 0, 0, 900], [1, 1, 0, 60], [2, 2, 2, 4], [1, 1, 70, 50], [1, 1, 130, 40], [1, 1, 180, 700], [2, 2, 181, 30]];
  const tree = treeOf(rows, { sums: [[5, 100, 2, 39], [6, 250, 1, 3]], errors: [[6, -5, true]] });
  assert.deepEqual([0, 1, 5, 6].map((node) => callsIn(tree, node)), [7 - 2 + 350, 2, 350, 250]);
  assert.deepEqual([0, 5, 6].map((node) => countOf(tree, node)), [1, 100, 250]);
  const seen = new Rows(tree);
  seen.open(0);
  const group = seen.special(seen.id(1));
  assert.deepEqual([group.members, group.count, group.min, group.max, group.total], [[1, 3, 4, 5], 103, 2, 60, 850]);
  const frames = merge(tree, 10);
  assert.deepEqual([frames.label, frames.count, frames.calls, frames.failed],
    [[9, 1, 2], [1, 103, 251], [355, 354, 251], [0, 0, 250]]);
  assert.equal(new Search("b", ["", "", "b"], tree).n, 251);
  const whole = treeOf(rows);
  assert.deepEqual([whole.sums, callsIn(whole, 0), countOf(whole, 5)], [null, 7, 1]);
});

test("an interrupt is a row above its calls, no call, and no callee on the hot path", () => {
  // A task, read, two interrupts in a row (label 5) of two calls each, a third one further on, and a callee.
  const rows = [[9, 0, 0, 900], [1, 1, 0, 900], [5, 2, 10, 500], [2, 3, 10, 240], [3, 4, 20, 200], [2, 3, 260, 260], [4, 2, 600, 120],
    [5, 2, 630, 7], [2, 3, 630, 7]];
  const tree = treeOf(rows, { interrupts: [5], sums: [[2, 2, -1, -1]], errors: [[4, -5, true]] });
  assert.deepEqual([0, 2, 7].map((node) => tree.isInterrupt(node)), [false, true, true]);
  assert.deepEqual([...tree.depth], [0, 1, 2, 2, 3, 2, 2, 2, 2]);
  assert.deepEqual([0, 1, 2, 7].map((node) => callsIn(tree, node)), [7, 6, 3, 1]);
  assert.deepEqual([countOf(tree, 2), countOf(tree, 7)], [2, 1]);
  assert.deepEqual([2, 7, 4, 3].map((node) => failedBelow(tree, node)), [1, 0, 0, 1]);
  const seen = new Rows(tree, { order: "total" });
  assert.equal(seen.id(seen.openHot(0)), 6);
  assert.deepEqual(names(seen), ["0", " 1", "  2", "  6", "  7"]);
  const found = new Search("r", ["", "", "r", "", "", "timer", "", "", "", "sh-r"], tree, (node) => node === 0);
  assert.equal(found.said, "3 calls, 3 interrupts, 1 task");
  const frames = merge(tree, 10);
  assert.deepEqual(frames.label, [9, 1, 2, 3, 4]);
  assert.deepEqual([frames.count, frames.calls], [[1, 1, 3, 1, 1], [7, 6, 4, 1, 1]]);
  assert.deepEqual(frames.time, [900, 900, 507, 200, 120]);
});

test("the hot path is of what was at work", () => {
  // A task; a wait of 900 that sleeps in schedule (label 7), and work of 90.
  const rows = [[9, 0, 0, 1000], [1, 1, 0, 900], [7, 2, 5, 890], [8, 3, 890, 2], [2, 1, 905, 90], [3, 2, 910, 60]];
  const waits = Uint8Array.from({ length: 10 }, (_, label) => (label === 7 ? 1 : 0));
  const unsure = treeOf(rows, { unknown: [[0, 880], [1, 880], [2, 880]] });
  assert.deepEqual([...workOf(unsure, waits)], [120, 20, 10, 2, 90, 60], "what may have been sleep is no work");
  const waiting = treeOf(rows), slept = treeOf(rows, { asleep: [[0, 880], [1, 880], [2, 880]] });
  assert.deepEqual([...workOf(waiting, waits)], [110, 10, 0, 2, 90, 60]);
  assert.deepEqual([...workOf(slept, waits)], [120, 20, 10, 2, 90, 60], "where sleep was recorded, nothing is guessed");
  for (const tree of [waiting, slept, unsure]) {
    const seen = new Rows(tree, { work: workOf(tree, waits), order: "total" });
    assert.equal(seen.id(seen.openHot(0)), 5);
  }
  const took = new Rows(waiting, { order: "total" });
  assert.equal(took.id(took.openHot(0)), 2);
});

test("a CPU's row shows where a task ran, not where it waited", () => {
  const rows = [[1, 0, 0, 1000], [2, 1, 10, 50], [7, 1, 100, 700], [8, 2, 790, 5], [3, 1, 850, 20], [4, 1, 900, 10]];
  const tree = treeOf(rows, { cpus: [1, 1, 1, 2, 2, 1] });
  const asleep = Uint8Array.from({ length: 9 }, (_, label) => (label === 7 ? 1 : 0));
  assert.deepEqual(ranOn({ tree, asleep }, 0), [[1, 0, 100], [2, 800, 900], [1, 900, 1000]]);
  assert.deepEqual(ranOn({ tree, asleep: new Uint8Array(9) }, 0), [[1, 0, 790], [2, 790, 900], [1, 900, 1000]]);
  assert.deepEqual(ranOn({ tree, asleep }, 2), [], "what waits runs nowhere");
});

test("a lane for each task; steps of an axis are round", () => {
  const tree = treeOf([[9, 0, 0, 5], [1, 1, 0, 5], [8, 0, 7, 2], [1, 1, 7, 2]]);
  const page = { tree, isTask: (node) => tree.label[node] > 7, nameOf: (node) => `t${tree.label[node]}` };
  assert.deepEqual(lanesOf(page), [{ title: "t9", node: 0, first: 1, stop: 2 }, { title: "t8", node: 2, first: 3, stop: 4 }]);
  assert.deepEqual([3, 10, 11, 4_000].map(stepOf), [5, 10, 20, 5_000]);
});

test("the panel says where a call stands in its caller", () => {
  const page = { head: { sites: [["drivers/foo.c:12", 0, 0], ["a+0x8", 1, 0]] }, tree: { site: [0, 1, 2] } };
  assert.deepEqual([0, 1, 2].map((node) => siteOf(page, node)),
    [[], [["Called at", "drivers/foo.c:12"]], [["Returns to", "a+0x8: its caller jumped to it"]]]);
  assert.deepEqual(siteOf({ head: {}, tree: {} }, 0), []);
});

test("frames of an SVG stand one after another in what they hang on", () => {
  const { parent, end, at } = shape([0, 1, 2, 1, 0], [10, 6, 6, 3, 5]);
  assert.deepEqual([...parent], [-1, 0, 1, 0, -1]);
  assert.deepEqual([...end], [4, 3, 3, 4, 5]);
  assert.deepEqual([...at], [0, 0, 0, 6, 10]);
});

test("what matches inside of what matches counts once", () => {
  const { end } = shape([0, 1, 2, 1, 0], [10, 6, 6, 3, 5]);
  assert.equal(worth([false, true, true, false, true], end, [10, 6, 6, 3, 5]), 11);
  assert.equal(worth([true, true, false, true, false], end, [10, 6, 6, 3, 5]), 10);
});
