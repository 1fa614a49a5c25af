// The script of a flame graph that is an SVG of its own: zoom, search, reset, as in flamegraph.pl.
import { APART, addressOf } from "./links.mjs";
import { formatNs, formatShare, plural } from "./units.mjs";

/** Narrower frames are not drawn: they can be zoomed into. */
const LEAST = 0.3;
const FOUND = "#e600e6";

/** Frames in pre-order: where each one's subtree ends, what it hangs on, and what stands before it. */
export function shape(level, value) {
  const n = level.length, parent = new Int32Array(n).fill(-1), end = new Int32Array(n).fill(n), at = new Float64Array(n);
  const path = [], next = [];
  let roots = 0;
  for (let i = 0; i < n; i++) {
    while (path.length > level[i]) end[path.pop()] = i;
    if (path.length) {
      parent[i] = path[path.length - 1];
      at[i] = next[path.length - 1];
      next[path.length - 1] += value[i];
    } else {
      at[i] = roots;
      roots += value[i];
    }
    next[path.length] = at[i];
    path.push(i);
  }
  return { parent, end, at };
}

/** What the outermost of some frames are worth together. */
export function worth(found, end, value) {
  let sum = 0;
  for (let i = 0; i < found.length; i++) {
    if (!found[i]) continue;
    sum += value[i];
    const last = end[i];
    while (i + 1 < last) i++;
  }
  return sum;
}

class Graph {
  constructor(data) {
    Object.assign(this, data);
    Object.assign(this, shape(data.level, data.value));
    this.root = -1;
    this.ignoreCase = false;
    this.term = "";
    this.box = document.getElementById("frames");
    this.said = document.getElementById("said");
    this.matched = document.getElementById("matched");
    this.buttons = Object.fromEntries(["reset", "search", "case"].map((id) => [id, document.getElementById(id)]));
    const actions = { reset: () => this.zoom(-1), search: () => this.ask(), case: () => this.toggleCase() };
    for (const [id, action] of Object.entries(actions)) {
      this.buttons[id].addEventListener("click", action);
      this.buttons[id].addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); action(); } });
    }
    addEventListener("keydown", (event) => this.key(event));
    this.draw();
  }

  sentence(i) {
    const value = this.inNs ? formatNs(this.value[i]) : plural(this.value[i], "call");
    const calls = this.inNs && this.calls[i] ? `, ${plural(this.calls[i], "call")}` : "";
    return `${this.names[this.which[i]]}: ${value}, ${formatShare(this.value[i] / Math.max(this.whole, 1))}${calls}`;
  }

  key(event) {
    if (event.key === "Escape") this.zoom(-1);
    else if (event.key === "F3" || (event.ctrlKey && event.key === "f")) this.ask();
    else if (event.ctrlKey && event.key === "i") this.toggleCase();
    else return;
    event.preventDefault();
  }

  toggleCase() {
    this.ignoreCase = !this.ignoreCase;
    this.buttons.case.style.fontWeight = this.ignoreCase ? "bold" : "";
    this.mark(this.term);
  }

  ask() {
    if (this.term) return this.mark("");
    const term = prompt("Search for a function (a regular expression, such as ^ext4_)", "");
    return term === null ? undefined : this.mark(term);
  }

  /** Colour the frames whose name matches; "" none. */
  mark(term) {
    this.term = term;
    let pattern = null;
    const flags = this.ignoreCase ? "i" : "";
    try {
      pattern = term ? new RegExp(term, flags) : null;
    } catch {
      pattern = new RegExp(term.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), flags);
    }
    const names = this.names.map((name) => pattern !== null && pattern.test(name));
    this.found = this.which.map((name) => names[name]);
    this.buttons.search.textContent = term ? "Reset search" : "Search (Ctrl-F)";
    const n = this.found.reduce((sum, is) => sum + is, 0);
    this.matched.textContent = term
      ? `Matched: ${formatShare(worth(this.found, this.end, this.value) / Math.max(this.whole, 1))}, ${plural(n, "frame")}` : " ";
    this.draw();
  }

  /** Make a frame as wide as the drawing; -1: all. */
  zoom(frame) {
    this.root = frame;
    this.buttons.reset.setAttribute("visibility", frame < 0 ? "hidden" : "visible");
    this.draw();
  }

  /** The frames to draw: what the zoomed one hangs on, and all that are wide enough. */
  shown() {
    const { root, parent, end, value, level } = this, frames = [];
    for (let up = root < 0 ? -1 : parent[root]; up >= 0; up = parent[up]) frames.unshift(up);
    const unit = (this.wide - 2 * this.pad) / Math.max(root < 0 ? this.whole : value[root], 1);
    let deepest = root < 0 ? 0 : level[root];
    for (let i = Math.max(root, 0), last = root < 0 ? level.length : end[root]; i < last;) {
      if (value[i] * unit < LEAST) {
        i = end[i];
        continue;
      }
      frames.push(i);
      deepest = Math.max(deepest, level[i]);
      i++;
    }
    return { frames, unit, deepest };
  }

  draw() {
    const { frames, unit, deepest } = this.shown(), { root } = this;
    const tall = this.top + (deepest + 1) * this.height + this.bottom, svg = document.documentElement;
    svg.setAttribute("height", tall);
    svg.setAttribute("viewBox", `0 0 ${this.wide} ${tall}`);
    for (const text of [this.said, this.matched]) text.setAttribute("y", tall - 10);
    const left = root < 0 ? 0 : this.at[root];
    this.box.replaceChildren(...frames.map((i) => {
      const isAbove = root >= 0 && this.level[i] < this.level[root];
      const x = isAbove ? this.pad : this.pad + (this.at[i] - left) * unit;
      return this.element(i, x, isAbove ? this.wide - 2 * this.pad : this.value[i] * unit, deepest, isAbove);
    }));
  }

  element(i, x, width, deepest, isAbove) {
    const make = (name, attributes, text) => {
      const one = document.createElementNS(document.documentElement.namespaceURI, name);
      for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
      if (text) one.textContent = text;
      return one;
    };
    const y = this.top + (this.icicle ? this.level[i] : deepest - this.level[i]) * this.height;
    const fill = this.found?.[i] ? FOUND : this.fills[this.which[i]];
    const group = make("g", isAbove ? { class: "above" } : {}), source = addressOf(this.links, this.which[i], this.names[this.which[i]]);
    group.append(make("title", {}, this.sentence(i)),
      make("rect", { x: x.toFixed(1), y, width: Math.max(width - 0.3, 0.2).toFixed(1), height: this.height - 1, fill }));
    const name = this.names[this.which[i]], fits = Math.floor((width - 6) / this.letter);
    const written = name.length <= fits ? name : fits >= 3 ? `${name.slice(0, fits - 1)}…` : "";
    if (written) group.append(make("text", { x: (x + 3).toFixed(1), y: y + 12 }, written));
    group.addEventListener("click", (event) => {
      // With a modifier, or with another button, a link is what it is in a browser.
      if (source && (event.ctrlKey || event.metaKey || event.shiftKey)) return;
      event.preventDefault();
      this.zoom(i);
    });
    group.addEventListener("mouseenter", () => { this.said.textContent = `${this.sentence(i)}${source ? " (Ctrl-click: source)" : ""}`; });
    group.addEventListener("mouseleave", () => { this.said.textContent = " "; });
    if (!source) return group;
    const link = make("a", { href: source, ...APART, tabindex: "-1" });
    link.append(group);
    return link;
  }
}

if (globalThis.document) globalThis.graph = new Graph(JSON.parse(document.getElementById("data").textContent));
