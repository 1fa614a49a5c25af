// The timeline: a lane for each CPU and each task, calls where they were in time, callees below their callers.
import { colourOf, cut, prepare, theme } from "./canvas.mjs";
import { el } from "./dom.mjs";
import { FLAG, calleesOf, callsIn } from "./tree.mjs";
import { formatNs, plural } from "./units.mjs";

const LINE = 16, TITLE = 18, AXIS = 20;
const MOST_LINES = 14;

/** The lanes of a tree: {title, node (a task), from, to (its nodes)}; matches of a function are one lane. */
export function lanesOf(page) {
  const { tree } = page;
  let roots = calleesOf(tree, -1);
  // Very many tasks stand below one node.
  if (roots.length === 1 && page.isTask(roots[0])) {
    const tasks = calleesOf(tree, roots[0]).filter((node) => page.isTask(node));
    if (tasks.length) roots = tasks;
  }
  if (roots.length && page.isTask(roots[0])) {
    return roots.map((node) => ({ title: page.nameOf(node), node, first: node + 1, stop: tree.end[node] }));
  }
  return roots.length ? [{ title: "the calls", node: -1, first: 0, stop: tree.n }] : [];
}

/** Where an outermost call ran: [CPU, from, to] each, by the CPUs of the calls in it; not where it waited. */
export function ranOn({ tree, asleep }, root) {
  const found = [];
  let cpu = tree.cpu[root], since = tree.start[root];
  const until = (time) => { if (cpu > 0 && time > since) found.push([cpu, since, time]); };
  for (let i = root + 1; i < tree.end[root]; i++) {
    if (tree.isInterrupt(i)) continue;
    if (tree.sums?.get(i)) i = tree.end[i] - 1;
    else if (asleep[tree.label[i]]) {
      until(tree.start[i]);
      since = tree.start[i] + tree.span[i];
      // The last call in it was after the task went on, maybe elsewhere.
      i = tree.end[i] - 1;
      cpu = tree.cpu[i] || cpu;
    } else if (tree.cpu[i] > 0 && tree.cpu[i] !== cpu) {
      until(tree.start[i]);
      [cpu, since] = [tree.cpu[i], tree.start[i]];
    }
  }
  until(tree.start[root] + tree.span[root]);
  return asleep[tree.label[root]] ? [] : found;
}

/** [class, meaning] of the colours that occur on this page. */
export function keysOf({ tree, asleep, head }) {
  const some = (is) => { for (let i = 0; i < tree.n; i++) if (is(i)) return true; return false; };
  return [
    ["irq", "interrupt", some((i) => tree.context[i] > 0 && tree.context[i] < 4)],
    ["asleep", "asleep", some((i) => asleep[tree.label[i]] === 1)],
    ["lost", "records lost", head.losses.length > 0],
    ["failed", "✗ error", some((i) => tree.errors.at(i))],
  ].filter(([, , occurs]) => occurs).map(([key, means]) => [key, means]);
}

/** 1, 2 or 5 times a power of ten: steps of an axis, at least `least`. */
export function stepOf(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((k) => k * power).find((step) => step >= least);
}

export class Timeline {
  constructor(page, host) {
    this.page = page;
    this.tree = page.tree;
    this.lanes = lanesOf(page);
    this.measure();
    let nSummed = 0;
    for (let i = 0; i < this.tree.n;) {
      const isSum = this.tree.sums?.get(i) && !this.tree.isInterrupt(i);
      if (isSum) nSummed += callsIn(this.tree, i);
      i = isSum ? this.tree.end[i] : i + 1;
    }
    this.nSummed = nSummed ? ` ${plural(nSummed, "call")} in sums are not drawn.` : "";
    this.said = el("p", { class: "said", "aria-live": "polite" }, "");
    this.canvas = el("canvas", { class: "time", tabindex: "0", role: "img",
      "aria-label": "Timeline. Arrow keys move, plus and minus zoom, 0 shows all; the call tree has the same calls as text." });
    this.box = el("div", { class: "canvas" }, this.canvas);
    host.append(this.toolbar(), this.said, this.box);
    this.canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.canvas.addEventListener("mousedown", (event) => this.grab(event));
    this.canvas.addEventListener("mousemove", (event) => this.hover(event));
    this.canvas.addEventListener("click", (event) => this.click(event));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.box);
    this.say(-1);
  }

  /** The time that there is, the lanes' heights, what ran on which CPU. */
  measure() {
    const { tree } = this;
    let from = Infinity, to = 0;
    const cpus = new Map();
    for (const lane of this.lanes) {
      let deepest = 0;
      const base = lane.first < lane.stop ? tree.depth[lane.first] : 0;
      for (let i = lane.first; i < lane.stop; i++) {
        deepest = Math.max(deepest, tree.depth[i] - base + 1);
        if (tree.depth[i] !== base || tree.sums?.get(i) || tree.isInterrupt(i)) continue;
        from = Math.min(from, tree.start[i]);
        to = Math.max(to, tree.start[i] + tree.span[i]);
        for (const [cpu, start, stop] of ranOn(this.page, i)) {
          if (!cpus.has(cpu)) cpus.set(cpu, []);
          cpus.get(cpu).push([start, stop, lane]);
        }
      }
      lane.lines = Math.min(deepest, this.lanes.length > 6 ? 5 : MOST_LINES);
    }
    if (!(to > from)) [from, to] = [0, Math.max(to, 1)];
    this.whole = [from, to];
    this.view = [from, to];
    this.cpus = [...cpus.keys()].sort((a, b) => a - b).map((cpu) => ({
      title: `CPU ${cpu - 1}`, ran: cpus.get(cpu).sort((a, b) => a[0] - b[0]) }));
  }

  toolbar() {
    const button = (text, does, hint) => el("button", { type: "button", title: hint, onclick: does }, text);
    return el("div", { class: "toolbar" }, button("+", () => this.zoom(0.5), "Zoom in (+)"), button("−", () => this.zoom(2), "Zoom out (-)"),
      button("‹", () => this.move(-0.25), "Earlier (←)"), button("›", () => this.move(0.25), "Later (→)"), button("Show all", () => this.showAll(), "All of it (0)"),
      button("To the current call", () => this.showNode(this.page.at()), "The call that is current in the tree"),
      el("span", { class: "legend" }, ...keysOf(this.page).map(([key, means]) => el("span", { class: `key ${key}` }, means))));
  }

  say(node) {
    if (node < 0) {
      const [from, to] = this.view;
      this.said.textContent = `${formatNs(to - from)} from ${((from + this.page.head.since_first_ns) / 1e9).toFixed(6)} s on. A click shows a call in the tree.${this.nSummed}`;
      return;
    }
    const { tree, page } = this, error = tree.errors.at(node);
    const recorded = page.head.estimated && tree.total[node] >= 0 ? ` (${formatNs(tree.span[node])} as recorded)` : "";
    this.said.textContent = `${page.nameOf(node)}: ${tree.total[node] < 0 ? `at least ${formatNs(tree.floor[node])}` : page.time(tree.floor[node])}${recorded}`
      + `, at ${((tree.start[node] + page.head.since_first_ns) / 1e9).toFixed(9)} s${error ? `, ✗ ${page.errorText(error)}` : ""}`;
  }

  zoom(factor, at = 0.5) {
    const [from, to] = this.view, middle = from + (to - from) * at, size = Math.max((to - from) * factor, 10);
    this.showTime(middle - size * at, middle + size * (1 - at));
  }

  move(part) {
    const size = this.view[1] - this.view[0];
    this.showTime(this.view[0] + part * size, this.view[1] + part * size);
  }

  showAll() { this.showTime(...this.whole); }

  showTime(from, to) {
    const size = Math.min(to - from, this.whole[1] - this.whole[0]);
    const first = Math.max(this.whole[0], Math.min(from, this.whole[1] - size));
    this.view = [first, first + size];
    this.say(-1);
    this.draw();
  }

  showNode(node) {
    if (node < 0) return;
    const { tree } = this, size = Math.max(tree.span[node] * 2, 100);
    this.showTime(tree.start[node] - size / 4, tree.start[node] - size / 4 + size);
  }

  draw() {
    const wide = this.box.clientWidth;
    if (!wide) return;
    const { tree, page } = this, [from, to] = this.view, scale = wide / (to - from);
    const high = AXIS + this.cpus.length * LINE + this.lanes.reduce((sum, lane) => sum + TITLE + lane.lines * LINE, 0) + 4;
    const context = prepare(this.canvas, wide, high), colours = theme();
    context.font = '11px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace';
    context.textBaseline = "middle";
    this.hits = [];
    this.axis(context, colours, wide, high);
    let y = AXIS;
    for (const cpu of this.cpus) {
      let drawn = -1;
      for (const [start, end, lane] of cpu.ran) {
        const x = (start - from) * scale, stop = (end - from) * scale;
        if (stop < 0 || x > wide || stop <= drawn) continue;
        const left = Math.max(x, drawn, 0);
        context.fillStyle = colourOf(`${lane.title} [${lane.title}]`, { dark: colours.dark });
        context.fillRect(left, y, Math.max(Math.min(stop, wide) - left, 0.6), LINE - 2);
        const text = cut(context, lane.title, Math.min(stop, wide) - left - 50);
        if (text && left > 50) {
          context.fillStyle = colours.text;
          context.fillText(text, left + 3, y + LINE / 2 - 1);
        }
        drawn = Math.max(drawn, stop);
      }
      this.title(context, colours, cpu.title, y, LINE - 2);
      y += LINE;
    }
    for (const lane of this.lanes) {
      this.title(context, colours, lane.title, y, TITLE);
      y += TITLE;
      this.drawLane(context, colours, lane, y, wide, scale);
      y += lane.lines * LINE;
    }
    const lost = page.head.losses.filter((loss) => loss.at >= from && loss.at <= to);
    context.fillStyle = colours.bad;
    for (const loss of lost) {
      const x = (loss.at - from) * scale;
      context.fillRect(x - 0.5, AXIS - 5, 1, 5);
      // Many of them would hide what they stand beside.
      if (lost.length <= 30) for (let k = AXIS; k < high; k += 6) context.fillRect(x - 0.5, k, 1, 3);
    }
  }

  title(context, colours, text, y, height) {
    const wide = context.measureText(text).width;
    context.fillStyle = colours.ground;
    context.globalAlpha = 0.85;
    context.fillRect(0, y, wide + 8, height);
    context.globalAlpha = 1;
    context.fillStyle = colours.soft;
    context.fillText(text, 4, y + height / 2);
  }

  axis(context, colours, wide, high) {
    const [from, to] = this.view, since = this.page.head.since_first_ns, step = stepOf(((to - from) * 110) / wide);
    for (let at = Math.ceil((from + since) / step) * step; at <= to + since; at += step) {
      const x = ((at - since - from) / (to - from)) * wide;
      context.fillStyle = colours.line;
      context.fillRect(x, 0, 1, high);
      context.fillStyle = colours.soft;
      const digits = Math.max(0, Math.min(9, 9 - Math.floor(Math.log10(step))));
      context.fillText(`${(at / 1e9).toFixed(digits)} s`, x + 3, AXIS / 2);
    }
  }

  /** The calls of a lane: what is narrower than a pixel is one block with its neighbours, and nothing below it. */
  drawLane(context, colours, lane, top, wide, scale) {
    const { tree, page } = this, [from, to] = this.view;
    const base = lane.first < lane.stop ? tree.depth[lane.first] : 0;
    const drawn = new Float64Array(lane.lines).fill(-1);
    for (let i = lane.first; i < lane.stop;) {
      // The calls of an interrupt are drawn, where they were.
      if (tree.isInterrupt(i)) {
        i += 1;
        continue;
      }
      // Calls that are one sum were at many times.
      if (tree.sums?.get(i)) {
        i = tree.end[i];
        continue;
      }
      const line = tree.depth[i] - base, x = (tree.start[i] - from) * scale, stop = x + tree.span[i] * scale;
      if (line >= lane.lines || tree.start[i] + tree.span[i] < from || tree.start[i] > to) {
        i = tree.end[i];
        continue;
      }
      const left = Math.max(x, 0), right = Math.min(stop, wide);
      if (right - left >= 0.7 || x > drawn[line] + 0.7 || tree.errors.at(i)) {
        const name = page.nameOf(i), y = top + line * LINE;
        const irq = tree.context[i] > 0 && tree.context[i] < 4;
        context.fillStyle = colourOf(name, { dark: colours.dark, asleep: page.asleep[tree.label[i]] === 1, irq });
        context.fillRect(left, y, Math.max(right - left - (right - left > 3 ? 0.7 : 0), 0.7), LINE - 1);
        if (right - left >= 3) this.hits.push([left, right, y, i]);
        if (tree.errors.at(i)) {
          context.fillStyle = colours.bad;
          context.fillRect(left, y + LINE - 4, Math.max(right - left, 2), 3);
        }
        const text = cut(context, `${tree.errors.at(i) ? "✗ " : ""}${irq ? "⚡" : ""}${name}`, right - left - 6);
        if (text) {
          context.fillStyle = colours.text;
          context.fillText(text, left + 3, y + LINE / 2);
        }
        drawn[line] = Math.max(right, left + 0.7);
      }
      i = stop - x >= 1 || tree.total[i] < 0 ? i + 1 : tree.end[i];
    }
  }

  nodeAt(event) {
    for (let k = (this.hits ?? []).length - 1; k >= 0; k--) {
      const [left, right, y, node] = this.hits[k];
      if (event.offsetX >= left && event.offsetX < right && event.offsetY >= y && event.offsetY < y + LINE) return node;
    }
    return -1;
  }

  hover(event) {
    if (!this.dragging) this.say(this.nodeAt(event));
  }

  click(event) {
    const node = this.moved ? -1 : this.nodeAt(event);
    if (node < 0) return;
    this.page.showTab("tree");
    this.page.grid.goTo(node);
    this.page.grid.grid.focus();
  }

  grab(event) {
    const start = event.clientX, [from, to] = this.view, wide = this.box.clientWidth;
    this.dragging = true;
    this.moved = false;
    const drag = (now) => {
      const by = ((start - now.clientX) / wide) * (to - from);
      if (Math.abs(now.clientX - start) > 3) this.moved = true;
      this.showTime(from + by, to + by);
    };
    const release = () => {
      this.dragging = false;
      removeEventListener("mousemove", drag);
      removeEventListener("mouseup", release);
    };
    addEventListener("mousemove", drag);
    addEventListener("mouseup", release);
  }

  /** With Ctrl, or sideways, as maps have it; else the page scrolls. */
  wheel(event) {
    if (event.ctrlKey) this.zoom(event.deltaY > 0 ? 1.25 : 0.8, event.offsetX / this.box.clientWidth);
    else if (event.deltaX) this.move(event.deltaX / this.box.clientWidth);
    else return;
    event.preventDefault();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const does = { "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), ArrowLeft: () => this.move(-0.25),
      ArrowRight: () => this.move(0.25), 0: () => this.showAll() }[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  }

  redraw() { this.draw(); }
}
