// Which rows of the tree show. Rows are made when their caller is opened, and never for a closed one.
import { FLAG, calleesOf, countOf, pathTo } from "./tree.mjs";

/** So many siblings of one function become one row. */
export const MANY = 4;
export const ORDERS = ["time", "total", "self"];

/** The rows that show: `id(row)` is a node of the tree, or a special row below 0.
 *
 * Special rows are groups of siblings of one function, and places where records were lost: `special(id)` is
 * {kind: "group", members, count, label, parent, total, self, open, error} or {kind: "loss", parent, text}.
 */
export class Rows {
  constructor(tree, { order = "time", losses = [], work = tree.floor } = {}) {
    this.tree = tree;
    this.order = order;
    this.work = work;
    this.specials = [];
    this.made = new Map();
    this.losses = new Map();
    for (const loss of losses) {
      if (!this.losses.has(loss.node)) this.losses.set(loss.node, []);
      this.losses.get(loss.node).push(loss);
    }
    this.reset();
  }

  /** Only the roots, all closed. */
  reset() {
    const roots = this.callees(-1);
    this.length = roots.length;
    this.ids = Int32Array.from(roots);
    this.depths = new Int16Array(this.length);
    this.opens = new Uint8Array(this.length);
  }

  id(row) { return this.ids[row]; }
  depth(row) { return this.depths[row]; }
  isOpen(row) { return this.opens[row] === 1; }
  special(id) { return id < 0 ? this.specials[-1 - id] : null; }

  /** Whether there is anything to open below this row. */
  canOpen(row) {
    const id = this.ids[row], special = this.special(id);
    if (special) return special.kind === "group";
    return this.tree.end[id] > id + 1 || this.losses.has(id);
  }

  /** Whether a row is an interrupt, or several of one kind. */
  isInterrupt(id) {
    const special = this.special(id), node = special ? special.members?.[0] : id;
    return node !== undefined && this.tree.isInterrupt(node);
  }

  /** The rows below the row of `id`, when it is open. */
  below(id) {
    const special = this.special(id);
    return special ? this.sorted(special.members) : this.callees(id);
  }

  /** The rows below a node, which are the same each time. */
  callees(node) {
    if (!this.made.has(node)) this.made.set(node, this.makeCallees(node));
    return this.made.get(node);
  }

  makeCallees(node) {
    const members = calleesOf(this.tree, node);
    if (this.order === "time") return this.withLosses(node, this.runs(members, node));
    return this.sorted(this.groups(members, node)).concat((this.losses.get(node) ?? []).map((one) => this.lossRow(one)));
  }

  /** What two siblings must share to stand in one row. What failed, or is not as usual, stays apart. */
  keyOf(node) {
    const error = this.tree.errors.at(node);
    const odd = this.tree.flags[node] & (FLAG.NO_ENTRY | FLAG.NO_EXIT | FLAG.CUT_BY_LOSS | FLAG.IN_TRACER);
    return `${this.tree.label[node]}/${odd}/${error ? error.code * 2 + (error.sure ? 1 : 0) : ""}`;
  }

  /** Consecutive siblings of one function as one row, where there are many; tasks and matches stay. */
  runs(members, parent) {
    if (members.length < MANY || parent < 0) return members;
    const found = [];
    for (let i = 0; i < members.length;) {
      const key = this.keyOf(members[i]);
      let j = i + 1;
      while (j < members.length && this.keyOf(members[j]) === key) j++;
      if (j - i < MANY) for (let k = i; k < j; k++) found.push(members[k]);
      else found.push(this.groupRow(members.slice(i, j), parent));
      i = j;
    }
    return found;
  }

  /** Siblings of one function as one row, where there are many, wherever they stand. */
  groups(members, parent) {
    if (members.length < MANY || parent < 0) return members;
    const byKey = new Map();
    for (const node of members) {
      const key = this.keyOf(node);
      if (!byKey.has(key)) byKey.set(key, []);
      byKey.get(key).push(node);
    }
    const found = [];
    for (const some of byKey.values()) {
      if (some.length < MANY) found.push(...some);
      else found.push(this.groupRow(some, parent));
    }
    return found;
  }

  groupRow(members, parent) {
    const { total, self, floor, label, errors, sums } = this.tree;
    const sum = { total: 0, self: -1, floor: 0, open: 0, count: 0, min: Infinity, max: -1 };
    for (const node of members) {
      const of = sums?.get(node), longest = of ? of.max : total[node];
      sum.count += countOf(this.tree, node);
      sum.floor += floor[node];
      if (total[node] < 0) sum.open += 1;
      else sum.total += total[node];
      if (longest >= 0) {
        sum.min = Math.min(sum.min, of ? of.min : total[node]);
        sum.max = Math.max(sum.max, longest);
      }
      // Those that are known; of none, it is not.
      if (self[node] >= 0) sum.self = Math.max(sum.self, 0) + self[node];
    }
    this.specials.push({ kind: "group", members, parent, label: label[members[0]], error: errors.at(members[0]), ...sum });
    return -this.specials.length;
  }

  lossRow(loss) {
    this.specials.push({ kind: "loss", parent: loss.node, text: loss.text });
    return -this.specials.length;
  }

  withLosses(node, ids) {
    const losses = this.losses.get(node);
    if (!losses) return ids;
    const first = (id) => (id < 0 ? this.special(id).members[0] : id);
    const found = [];
    let k = 0;
    for (const id of ids) {
      while (k < losses.length && losses[k].before >= 0 && losses[k].before <= first(id)) {
        found.push(this.lossRow(losses[k++]));
      }
      found.push(id);
    }
    while (k < losses.length) found.push(this.lossRow(losses[k++]));
    return found;
  }

  weight(id) {
    const of = this.special(id), by = this.order === "self" ? "self" : "floor";
    return of ? of[by] ?? -1 : this.tree[by][id];
  }

  sorted(ids) {
    if (this.order === "time") return Array.from(ids);
    return Array.from(ids).sort((a, b) => this.weight(b) - this.weight(a));
  }

  /** Open a row; how many rows came in. */
  open(row) {
    if (this.isOpen(row) || !this.canOpen(row)) return 0;
    const below = this.below(this.ids[row]);
    this.opens[row] = 1;
    this.splice(row + 1, 0, below, this.depths[row] + 1);
    return below.length;
  }

  /** Close a row; how many rows went. */
  close(row) {
    if (!this.isOpen(row)) return 0;
    const n = this.endOf(row) - row - 1;
    this.opens[row] = 0;
    this.splice(row + 1, n, [], 0);
    return n;
  }

  /** The first row behind all that shows below `row`. */
  endOf(row) {
    let stop = row + 1;
    while (stop < this.length && this.depths[stop] > this.depths[row]) stop++;
    return stop;
  }

  /** The row that this one stands below, -1 for a root. */
  above(row) {
    let up = row - 1;
    while (up >= 0 && this.depths[up] >= this.depths[row]) up--;
    return up;
  }

  splice(at, nOut, ids, depth) {
    const length = this.length - nOut + ids.length;
    for (const [name, Type] of [["ids", Int32Array], ["depths", Int16Array], ["opens", Uint8Array]]) {
      const old = this[name];
      const made = length <= old.length ? old : new Type(Math.max(length, Math.ceil(old.length * 1.5)));
      if (made !== old) made.set(old.subarray(0, at));
      made.set(old.subarray(at + nOut, this.length).slice(), at + ids.length);
      if (name === "ids") made.set(ids, at);
      else made.fill(name === "depths" ? depth : 0, at, at + ids.length);
      this[name] = made;
    }
    this.length = length;
  }

  /** Open whatever stands above `node`; its row. */
  reveal(node) {
    let row = -1;
    for (const step of pathTo(this.tree, node)) {
      if (row >= 0) this.open(row);
      row = this.rowBelow(row, step);
      if (row < 0) return -1;
    }
    return row;
  }

  /** The row of `node`, whose caller has the row `row` (-1: it is a root); a group that it is in is opened. */
  rowBelow(row, node) {
    const depth = row < 0 ? 0 : this.depths[row] + 1;
    for (let i = row + 1; i < this.length && this.depths[i] >= depth; i++) {
      if (this.depths[i] !== depth) continue;
      if (this.ids[i] === node) return i;
      const special = this.special(this.ids[i]);
      if (special?.kind !== "group" || !special.members.includes(node)) continue;
      this.open(i);
      for (let k = i + 1; k < this.length && this.depths[k] > depth; k++) {
        if (this.depths[k] === depth + 1 && this.ids[k] === node) return k;
      }
    }
    return -1;
  }

  /** Open every row that can be: made once, in order, without splices. */
  openAll() {
    const ids = [], depths = [], opens = [];
    const walk = [{ below: this.callees(-1), at: 0 }];
    while (walk.length) {
      const here = walk[walk.length - 1];
      if (here.at === here.below.length) {
        walk.pop();
        continue;
      }
      const id = here.below[here.at++], special = this.special(id);
      const canOpen = special ? special.kind === "group" : this.tree.end[id] > id + 1 || this.losses.has(id);
      ids.push(id);
      depths.push(walk.length - 1);
      opens.push(canOpen ? 1 : 0);
      if (canOpen) walk.push({ below: this.below(id), at: 0 });
    }
    this.ids = Int32Array.from(ids);
    this.depths = Int16Array.from(depths);
    this.opens = Uint8Array.from(opens);
    this.length = ids.length;
  }

  /** Open from `row` on always the row below it that was at work longest, while that is `share` of the one above; the last.
   *
   * An interrupt is no callee.
   */
  openHot(row, share = 0.1) {
    for (let here = row; ;) {
      const depth = this.depths[here];
      const nIn = this.open(here);
      let best = -1;
      for (let i = here + 1; i < this.length && this.depths[i] > depth; i++) {
        if (this.depths[i] !== depth + 1 || this.isInterrupt(this.ids[i])) continue;
        if (best < 0 || this.worked(i) > this.worked(best)) best = i;
      }
      if (best < 0 || this.worked(best) < share * this.worked(here)) {
        // Of a group without a call that stands out, the sum says all there is.
        if (nIn && this.special(this.ids[here])) this.close(here);
        return here;
      }
      here = best;
    }
  }

  /** What the calls of a row took at least. */
  took(row) {
    const id = this.ids[row], special = this.special(id);
    return special ? special.floor ?? -1 : this.tree.floor[id];
  }

  /** What the calls of a row were at work at least. */
  worked(row) {
    const id = this.ids[row], special = this.special(id);
    return special ? (special.members ?? []).reduce((sum, node) => sum + this.work[node], 0) : this.work[id];
  }

  /** The row of those that show at `depth` 0 that was at work longest. */
  longestRoot() {
    let best = 0;
    for (let i = 1; i < this.length; i++) if (this.depths[i] === 0 && this.worked(i) > this.worked(best)) best = i;
    return best;
  }

  /** Another order of siblings; all rows close. */
  sortBy(order) {
    this.order = order;
    this.made.clear();
    this.reset();
  }
}
