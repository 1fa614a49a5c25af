// Which functions a search means, and the calls of them.
import { countOf } from "./tree.mjs";
import { plural } from "./units.mjs";

/** Functions whose name holds `text`, and tasks and interrupts; between slashes it is a regular expression.
 *
 * `nodes` match; `n` is how many calls these are, `nInterrupts` how many interrupts, `nTasks` how many tasks.
 */
export class Search {
  constructor(text, names, tree, isTask = () => false) {
    this.text = text;
    this.problem = "";
    let test = null;
    const pattern = /^\/(.*?)\/?$/s.exec(text);
    if (pattern?.[1]) {
      try {
        const regex = new RegExp(pattern[1], "i");
        test = (name) => regex.test(name);
      } catch (problem) {
        this.problem = problem.message;
      }
    } else if (!pattern) {
      const small = text.toLowerCase();
      test = (name) => name.toLowerCase().includes(small);
    }
    this.labels = Uint8Array.from(names, (name) => (test?.(name) ? 1 : 0));
    this.nodes = [];
    this.n = this.nInterrupts = this.nTasks = 0;
    if (test) for (let i = 0; i < tree.n; i++) if (this.labels[tree.label[i]]) this.nodes.push(i);
    for (const node of this.nodes) {
      if (isTask(node)) this.nTasks += 1;
      else if (tree.isInterrupt(node)) this.nInterrupts += countOf(tree, node);
      else this.n += countOf(tree, node);
    }
  }

  /** How much was found, in words. */
  get said() {
    if (this.problem) return this.problem;
    const some = [[this.n, "call"], [this.nInterrupts, "interrupt"], [this.nTasks, "task"]].filter(([n]) => n);
    return some.length ? some.map(([n, what]) => plural(n, what)).join(", ") : "0 calls";
  }

  matches(label) { return this.labels[label] === 1; }

  /** The place in `nodes` of the first match after `node`, or before it; around the end. */
  next(node, step) { return nextIn(this.nodes, node, step); }
}

/** The place in ascending `nodes` of the next one after (step 1) or before (-1) `node`; around the end; -1: none. */
export function nextIn(nodes, node, step) {
  if (!nodes.length) return -1;
  let low = 0, high = nodes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (step > 0 ? nodes[middle] <= node : nodes[middle] < node) low = middle + 1;
    else high = middle;
  }
  return step > 0 ? low % nodes.length : (low - 1 + nodes.length) % nodes.length;
}
