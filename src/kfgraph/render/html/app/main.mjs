// The page: its data, its views, and what they tell one another.
import { bytesOf, gunzip, unpack } from "./decode.mjs";
import { showDetails } from "./details.mjs";
import { el } from "./dom.mjs";
import { FlameGraph } from "./flame.mjs";
import { FunctionTable } from "./functions.mjs";
import { APART, addressOf } from "./links.mjs";
import { Search, nextIn } from "./search.mjs";
import { Timeline } from "./timeline.mjs";
import { calleesOf, callsIn, countOf, failedBelow, restore } from "./tree.mjs";
import { TreeGrid } from "./treegrid.mjs";
import { formatCount, formatNs, plural } from "./units.mjs";

class Page {
  constructor(head, columns) {
    this.head = head;
    this.tree = restore(head, columns);
    this.tasks = new Uint8Array(head.names.length);
    for (const label of head.tasks) this.tasks[label] = 1;
    this.rests = new Uint8Array(head.names.length);
    for (const label of head.rests ?? []) this.rests[label] = 1;
    this.asleep = new Uint8Array(head.names.length);
    for (const label of head.asleep) this.asleep[label] = 1;
    this.order = head.failed ? "time" : "total";
    this.whole = calleesOf(this.tree, -1).reduce((sum, root) => sum + this.tree.floor[root], 0);
    this.nCalls = calleesOf(this.tree, -1).reduce((sum, root) => sum + callsIn(this.tree, root), 0);
    this.search = null;
    this.views = new Map();
    this.status = document.getElementById("status");
    this.build();
  }

  nameOf(node) { return `${this.tree.isInterrupt(node) ? "⚡ " : ""}${this.head.names[this.tree.label[node]]}`; }
  /** The address of the source of a function, by its label. */
  sourceOf(label) { return addressOf(this.head.links, label, this.head.names[label]); }
  /** Open that; false if it is not known. */
  openSource(label) {
    const source = this.sourceOf(label);
    if (source) el("a", { href: source, ...APART }).click();
    return source !== "";
  }

  isTask(node) { return this.tasks[this.tree.label[node]] === 1; }
  /** Whether a node only counts what was left out. */
  isRest(node) { return this.rests[this.tree.label[node]] === 1; }

  /** A time of calls as text: ≈ before one that is an estimate. */
  time(ns) { return this.head.estimated && ns >= 0 ? `≈ ${formatNs(ns)}` : formatNs(ns); }

  /** What part of all calls of the page takes so long. */
  shareOf(ns) { return this.whole > 0 ? ns / this.whole : -1; }

  errorText({ code, sure }) {
    const name = this.head.errors[-code];
    return `${name ? `-${name}` : code}${sure ? "" : "?"}`;
  }

  commandFor(node) {
    if (this.tree.isInterrupt(node)) return `${this.head.show} --irq`;
    return `${this.head.show} --root ${/^[\w.]+$/.test(this.nameOf(node)) ? this.nameOf(node) : `'${this.nameOf(node).replaceAll("'", "'\\''")}'`}`;
  }

  build() {
    const treePanel = document.getElementById("panel-tree");
    treePanel.append(this.toolbar());
    const split = el("div", { class: "split" });
    treePanel.append(split);
    this.grid = new TreeGrid(this, split);
    this.aside = el("aside", { class: "details", "aria-label": "The current call" });
    split.append(this.aside);
    this.views.set("functions", () => new FunctionTable(this, this.panel("functions", this.functionBar())));
    this.views.set("flame", () => new FlameGraph(this, this.panel("flame")));
    this.views.set("timeline", () => new Timeline(this, this.panel("timeline")));
    for (const tab of this.tabs()) tab.addEventListener("click", () => this.showTab(tab.dataset.tab));
    document.querySelector("[role=tablist]").addEventListener("keydown", (event) => this.tabKey(event));
    for (const link of document.querySelectorAll("[data-node]")) {
      link.addEventListener("click", () => {
        this.showTab("tree");
        this.grid.goTo(Number(link.dataset.node));
        this.grid.grid.focus();
      });
    }
    document.getElementById("theme").addEventListener("click", () => this.switchTheme());
    addEventListener("keydown", (event) => {
      if (event.key === "/" && !/^(input|textarea|select)$/i.test(event.target.tagName)) {
        event.preventDefault();
        this.focusSearch();
      }
    });
    if (this.head.open >= 0) this.grid.goTo(this.head.open);
    else if (this.tree.n) this.grid.goHot(this.grid.rows.longestRoot());
  }

  tabs() { return document.querySelectorAll("[role=tab]"); }

  panel(name, ...children) {
    const panel = document.getElementById(`panel-${name}`);
    panel.append(...children);
    return panel;
  }

  showTab(name) {
    for (const tab of this.tabs()) {
      const is = tab.dataset.tab === name;
      tab.setAttribute("aria-selected", is);
      tab.tabIndex = is ? 0 : -1;
      document.getElementById(`panel-${tab.dataset.tab}`).hidden = !is;
    }
    const view = this.views.get(name);
    if (typeof view === "function") this.views.set(name, view());
    this.views.get(name)?.redraw?.();
  }

  tabKey(event) {
    const tabs = [...this.tabs()], at = tabs.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    const tab = tabs[(to + tabs.length) % tabs.length];
    this.showTab(tab.dataset.tab);
    tab.focus();
  }

  toolbar() {
    const button = (text, hint, does) => el("button", { type: "button", title: hint, onclick: does }, text);
    this.input = el("input", { type: "search", id: "search", placeholder: "Find a function  ( / )", "aria-label": "Find calls of a function; /…/ is a regular expression", spellcheck: "false", autocomplete: "off" });
    this.found = el("output", { class: "found", for: "search" });
    this.input.addEventListener("input", () => this.find(this.input.value));
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.nextMatch(event.shiftKey ? -1 : 1);
      else if (event.key === "Escape") {
        this.find(this.input.value = "");
        this.grid.grid.focus();
      } else return;
      event.preventDefault();
    });
    const nErrors = this.tree.errors.nodes.length, nFailed = calleesOf(this.tree, -1).reduce((sum, root) => sum + failedBelow(this.tree, root) + (this.tree.errors.at(root) ? countOf(this.tree, root) : 0), 0);
    const errors = nFailed > nErrors ? `${formatCount(nErrors)} rows of ${formatCount(nFailed)}` : formatCount(nErrors);
    return el("div", { class: "toolbar", role: "toolbar", "aria-label": "Call tree" },
      this.input, button("‹", "Previous match (N)", () => this.nextMatch(-1)), button("›", "Next match (n)", () => this.nextMatch(1)), this.found,
      el("span", { class: "gap" }),
      nErrors ? button(`✗ Next error (${errors})`, "Next call that returned an error (e; E: previous)", () => this.nextError(1)) : null,
      button("Hot path", "Always into the callee that was at work longest: without sleep, no interrupt (h)", () => this.grid.goHot()),
      button("Close all", "Close every row", () => this.grid.closeAll()));
  }

  functionBar() {
    const input = el("input", { type: "search", placeholder: "Only functions with…", "aria-label": "Only functions whose name holds this", spellcheck: "false", autocomplete: "off" });
    input.addEventListener("input", () => this.views.get("functions").filter(input.value));
    return el("div", { class: "toolbar" }, input);
  }

  focusSearch() {
    this.showTab("tree");
    this.input.focus();
    this.input.select();
  }

  find(text) {
    this.search = text ? new Search(text, this.head.names, this.tree, (node) => this.isTask(node)) : null;
    this.found.value = this.search?.said ?? "";
    this.grid.refresh();
  }

  findFunction(name) {
    this.input.value = `/^${name.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")}$/`;
    this.focusSearch();
    this.find(this.input.value);
    this.nextMatch(1, -1);
  }

  at() {
    const id = this.grid.rows.id(this.grid.current), special = this.grid.rows.special(id);
    return special ? special.members?.[0] ?? special.parent : id;
  }

  nextMatch(step, from = this.at()) {
    const nodes = this.search?.nodes ?? [], k = nextIn(nodes, from, step);
    if (k < 0) return;
    this.grid.goTo(nodes[k]);
    this.found.value = `${formatCount(k + 1)} of ${plural(nodes.length, this.search.n === nodes.length ? "call" : "row")}`;
  }

  nextError(step) {
    const { nodes } = this.tree.errors, k = nextIn(nodes, this.at(), step);
    if (k >= 0) this.grid.goTo(nodes[k]);
  }

  selected(id) {
    showDetails(this, this.aside, id);
    this.status.textContent = this.grid.sentence(id);
  }

  switchTheme() {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    for (const view of this.views.values()) view.redraw?.();
  }
}

async function main() {
  const data = document.getElementById("data");
  const status = document.getElementById("status");
  try {
    if (typeof DecompressionStream !== "function") throw new Error("this browser is too old: it has no DecompressionStream");
    const { head, columns } = unpack(await gunzip(bytesOf(data.textContent.trim())));
    data.remove();
    globalThis.page = new Page(head, columns);
    document.body.dataset.ready = "yes";
    performance.mark("ready");
  } catch (problem) {
    status.className = "problem";
    status.textContent = `The calls cannot be shown: ${problem.message}`;
    throw problem;
  }
}

main();
