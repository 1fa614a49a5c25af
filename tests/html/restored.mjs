// node restored.mjs FILE: what the page's program makes of packed columns (gzip), as JSON.
import { readFileSync } from "node:fs";
import { gunzip, unpack } from "../../src/kfgraph/render/html/app/decode.mjs";
import { callsIn, countOf, failedBelow, restore } from "../../src/kfgraph/render/html/app/tree.mjs";

const { head, columns } = unpack(await gunzip(readFileSync(process.argv[2])));
const tree = restore(head, columns);
const found = { head };
for (const name of ["parent", "end", "level", "depth", "start", "total", "self", "floor", "span", "label", "flags", "context", "cpu"]) {
  found[name] = Array.from(tree[name]);
}
for (const name of ["tracer", "uncertain"]) if (tree[name]) found[name] = Array.from(tree[name]);
found.asleep = Array.from(tree.asleep);
found.preempted = Array.from(tree.preempted);
found.irq = Array.from(tree.irq);
found.callsIn = Array.from(tree.end, (_, node) => callsIn(tree, node));
found.interrupts = [];
for (let i = 0; i < tree.n; i++) if (tree.isInterrupt(i)) found.interrupts.push([i, countOf(tree, i), failedBelow(tree, i)]);
found.failed = Array.from(tree.failed);
found.sums = [];
for (let i = 0; i < tree.n; i++) {
  const sum = tree.sums?.get(i);
  if (sum) found.sums.push([i, sum.count, sum.min, sum.max]);
}
found.errors = Array.from(tree.errors.nodes, (node) => [node, tree.errors.at(node).code, tree.errors.at(node).sure]);
process.stdout.write(JSON.stringify(found));
