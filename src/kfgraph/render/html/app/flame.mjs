// The flame graph: every path of callers as a frame as wide as what it took. Upside down: an icicle.
import { colourOf, cut, prepare, theme } from "./canvas.mjs";
import { el } from "./dom.mjs";
import { APART } from "./links.mjs";
import { layOut, merge } from "./merge.mjs";
import { formatCount, formatShare, plural } from "./units.mjs";

const HEIGHT = 18;
/** Narrower frames are not drawn: they can be zoomed into. */
const LEAST = 0.4;

export class FlameGraph {
  constructor(page, host) {
    this.page = page;
    this.frames = merge(page.tree, page.head.names.length);
    this.weight = "time";
    this.down = true;
    this.root = -1;
    this.current = -1;
    this.place = layOut(this.frames, this.weight);
    this.said = el("p", { class: "said", "aria-live": "polite" }, "");
    this.canvas = el("canvas", { class: "flame", tabindex: "0", role: "img", "aria-label": "Flame graph. Arrow keys walk, Enter zooms, Escape shows all, t shows the slowest call in the tree, Ctrl and a click opens the source." });
    this.box = el("div", { class: "canvas" }, this.canvas);
    host.append(this.toolbar(), this.said, this.box);
    this.canvas.addEventListener("mousemove", (event) => this.hover(event));
    this.canvas.addEventListener("mouseleave", () => this.say(this.current));
    this.canvas.addEventListener("click", (event) => {
      const frame = this.frameAt(event);
      if (frame < 0) return;
      if ((event.ctrlKey || event.metaKey) && this.page.openSource(this.frames.label[frame])) return;
      this.zoom(frame);
    });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.box);
    this.say(-1);
  }

  toolbar() {
    const weight = el("select", { "aria-label": "As wide as" }, el("option", { value: "time" }, "by time"), el("option", { value: "calls" }, "by calls"));
    weight.addEventListener("change", () => this.weighBy(weight.value));
    this.turn = el("button", { type: "button", "aria-pressed": "false", onclick: () => this.turnOver() }, "Flames upward");
    const search = el("input", { type: "search", placeholder: "Mark functions with…", "aria-label": "Mark functions whose name holds this", spellcheck: "false", autocomplete: "off" });
    search.addEventListener("input", () => { this.text = search.value.toLowerCase(); this.draw(); });
    return el("div", { class: "toolbar" }, weight, this.turn, search,
      el("button", { type: "button", onclick: () => this.zoom(-1) }, "Show all"),
      el("button", { type: "button", onclick: () => this.toTree() }, "Slowest call in the tree (t)"));
  }

  weighBy(weight) {
    this.weight = weight;
    this.place = layOut(this.frames, weight);
    this.draw();
  }

  turnOver() {
    this.down = !this.down;
    this.turn.setAttribute("aria-pressed", String(!this.down));
    this.draw();
  }

  /** Make a frame as wide as the page; -1: all. */
  zoom(frame) {
    this.root = frame;
    this.current = frame;
    this.say(frame);
    this.draw();
  }

  toTree() {
    if (this.current < 0) return;
    this.page.showTab("tree");
    this.page.grid.goTo(this.frames.slowest[this.current]);
    this.page.grid.grid.focus();
  }

  nameOf(frame) { return this.page.head.names[this.frames.label[frame]]; }

  sentence(frame) {
    const { frames, page } = this;
    if (frame < 0) return "Every path of callers, as wide as the time it took. A click zooms in.";
    const some = page.tasks[frames.label[frame]] ? "" : `, ${plural(frames.count[frame], "call")}`;
    const failed = frames.failed[frame] ? `, ${formatCount(frames.failed[frame])} ✗ returned an error` : "";
    const part = this.weight === "time" ? page.shareOf(frames.time[frame]) : frames.calls[frame] / page.nCalls;
    return `${this.nameOf(frame)}: ${page.time(frames.time[frame])}, ${formatShare(part)}${some}${failed}`;
  }

  say(frame) {
    const source = frame < 0 ? "" : this.page.sourceOf(this.frames.label[frame]);
    this.said.replaceChildren(this.sentence(frame), ...(source ? [" ", el("a", { href: source, ...APART, title: "Ctrl and a click on the frame too" }, "source")] : []));
  }

  /** Whether a frame is the zoomed one, or above or below it. */
  inView(frame) {
    if (this.root < 0) return true;
    const { x, width } = this.place, { level } = this.frames, root = this.root;
    const from = Math.max(x[frame], x[root]), to = Math.min(x[frame] + width[frame], x[root] + width[root]);
    return level[frame] < level[root] ? this.isAbove(frame) : to - from > 0 && (level[frame] > level[root] || frame === root);
  }

  isAbove(frame) {
    for (let up = this.root; up >= 0; up = this.frames.parent[up]) if (up === frame) return true;
    return false;
  }

  boxOf(frame) {
    const { x, width } = this.place, left = this.root < 0 ? 0 : x[this.root], whole = this.root < 0 ? 1 : width[this.root];
    const from = Math.max(0, (x[frame] - left) / whole), to = Math.min(1, (x[frame] + width[frame] - left) / whole);
    const line = this.down ? this.frames.level[frame] : this.lines - 1 - this.frames.level[frame];
    return { x: from * this.wide, y: line * HEIGHT, width: (to - from) * this.wide };
  }

  draw() {
    const wide = this.box.clientWidth;
    if (!wide) return;
    this.wide = wide;
    const { frames, page } = this, shown = [];
    let deepest = 0;
    const walk = this.root < 0 ? this.place.roots.slice() : [this.root];
    for (let up = this.root < 0 ? -1 : frames.parent[this.root]; up >= 0; up = frames.parent[up]) shown.push(up);
    const whole = this.root < 0 ? 1 : this.place.width[this.root];
    while (walk.length) {
      const frame = walk.pop();
      if ((this.place.width[frame] / whole) * wide < LEAST) continue;
      shown.push(frame);
      deepest = Math.max(deepest, frames.level[frame]);
      if (this.place.callees[frame]) walk.push(...this.place.callees[frame]);
    }
    this.lines = deepest + 1;
    this.shown = shown;
    const context = prepare(this.canvas, wide, this.lines * HEIGHT), colours = theme();
    context.font = '12px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace';
    context.textBaseline = "middle";
    for (const frame of shown) {
      const box = this.boxOf(frame), name = this.nameOf(frame), label = frames.label[frame];
      const isTask = page.tasks[label] === 1, isFound = this.text && name.toLowerCase().includes(this.text);
      context.fillStyle = isFound ? colours.found : isTask ? colours.raised
        : colourOf(name, { dark: colours.dark, asleep: page.asleep[label] === 1, irq: frames.context[frame] > 0 && frames.context[frame] < 4 });
      context.globalAlpha = this.isAbove(frame) && frame !== this.root ? 0.5 : 1;
      context.fillRect(box.x, box.y, Math.max(box.width - (box.width > 3 ? 1 : 0), LEAST), HEIGHT - 1);
      if (frames.failed[frame] || frame === this.current) {
        context.fillStyle = frame === this.current ? colours.link : colours.bad;
        context.fillRect(box.x, box.y + HEIGHT - 3, Math.max(box.width - 1, 1), 2);
      }
      const text = cut(context, `${frames.failed[frame] ? "✗ " : ""}${name}`, box.width - 6);
      context.fillStyle = colours.text;
      if (text) context.fillText(text, box.x + 3, box.y + HEIGHT / 2);
      context.globalAlpha = 1;
    }
  }

  frameAt(event) {
    const x = event.offsetX, line = Math.floor(event.offsetY / HEIGHT);
    const level = this.down ? line : this.lines - 1 - line;
    for (const frame of this.shown ?? []) {
      if (this.frames.level[frame] !== level) continue;
      const box = this.boxOf(frame);
      if (x >= box.x && x < box.x + box.width) return frame;
    }
    return -1;
  }

  hover(event) {
    const frame = this.frameAt(event);
    this.canvas.title = frame < 0 ? "" : this.sentence(frame);
    this.say(frame < 0 ? this.current : frame);
  }

  /** The frames beside one: callees of the same caller. */
  besides(frame) {
    const above = this.frames.parent[frame];
    return above < 0 ? this.place.roots : this.place.callees[above];
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this.current, deeper = this.down ? "ArrowDown" : "ArrowUp", outer = this.down ? "ArrowUp" : "ArrowDown";
    let to = at;
    if (event.key === deeper) to = at < 0 ? this.place.roots[0] : this.place.callees[at]?.[0] ?? at;
    else if (event.key === outer) to = at < 0 ? -1 : this.frames.parent[at];
    else if ((event.key === "ArrowRight" || event.key === "ArrowLeft") && at >= 0) {
      const besides = this.besides(at), k = besides.indexOf(at) + (event.key === "ArrowRight" ? 1 : -1);
      to = besides[k] ?? at;
    } else if (event.key === "Enter") return event.preventDefault(), this.zoom(at);
    else if (event.key === "Escape") return event.preventDefault(), this.zoom(-1);
    else if (event.key === "t") return event.preventDefault(), this.toTree();
    else return undefined;
    event.preventDefault();
    this.current = to;
    if (to >= 0 && !this.inView(to)) this.root = -1;
    this.say(to);
    return this.draw();
  }

  redraw() { this.draw(); }
}
