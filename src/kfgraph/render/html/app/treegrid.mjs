// The call tree: a WAI-ARIA treegrid of the rows that fold.mjs says show. The grid has the focus, a row is current.
import { el, VirtualRows } from "./dom.mjs";
import { Rows } from "./fold.mjs";
import { FLAG, countOf, failedBelow, workOf } from "./tree.mjs";
import { formatCount, formatNs, formatShare, plural } from "./units.mjs";

const CONTEXTS = ["", "softirq", "hardirq", "nmi", ""];
const MARKS = [
  [FLAG.NO_EXIT, "no end", "not finished: its exit was not recorded"],
  [FLAG.NO_ENTRY, "no entry", "its entry was not recorded"],
  [FLAG.CUT_BY_LOSS, "records lost", "records were lost inside"],
  [FLAG.IN_TRACER, "in tracer", "interrupt inside the tracer: its time is not in its caller's"],
  [FLAG.CALLER_LOST, "caller lost", "caller unknown, records lost"],
  [FLAG.DEPTH_JUMP, "caller unknown", "its caller was not recorded"],
  [FLAG.PRE_EXEC, "launcher", "kfgraph's launcher, not the command"],
];
const COLUMNS = [["total", "Total"], ["self", "Self"], ["share", "Share"], ["time", "Call"]];
const DEEPEST = 40;
/** What begins so is no number. */
const MEANS = { "≥": "at least: an end was not recorded", "?": "not known", "≈": "an estimate: less what tracing took" };

export class TreeGrid {
  constructor(page, host) {
    this.page = page;
    this.tree = page.tree;
    this.rows = new Rows(page.tree, { order: page.order, losses: page.head.losses, work: workOf(page.tree, page.asleep) });
    this.current = 0;
    this.grid = el("div", { class: `grid treegrid${page.head.estimated ? " estimated" : ""}`, role: "treegrid", tabindex: "0", id: "tree",
      "aria-label": "Call tree", "aria-colcount": COLUMNS.length });
    this.header = el("div", { class: "row header", role: "row" }, COLUMNS.map(([order, title]) => this.heading(order, title)));
    this.grid.append(this.header);
    host.append(this.grid);
    this.list = new VirtualRows(this.grid, { count: () => this.rows.length, fill: (e, row) => this.fill(e, row) });
    this.grid.addEventListener("keydown", (event) => this.key(event));
    this.grid.addEventListener("click", (event) => this.click(event));
    this.grid.addEventListener("focus", () => this.list.show(this.current));
    this.ordered();
  }

  heading(order, title) {
    const sorts = order !== "share";
    const hint = order === "time" ? "Calls in the order of time" : `The largest ${title.toLowerCase()} first`;
    const name = sorts ? el("button", { type: "button", title: hint, tabindex: "-1", onclick: () => this.sortBy(order) }, title) : title;
    return el("div", { role: "columnheader", class: `cell ${order}`, "data-order": order }, name);
  }

  ordered() {
    for (const cell of this.header.children) {
      const by = cell.dataset.order === this.rows.order;
      cell.setAttribute("aria-sort", by ? (this.rows.order === "time" ? "ascending" : "descending") : "none");
    }
  }

  /** Another order of siblings; the current call stays current. */
  sortBy(order) {
    const id = this.rows.id(this.current);
    const node = id >= 0 ? id : this.rows.special(id)?.members?.[0] ?? this.rows.special(id)?.parent ?? -1;
    this.rows.sortBy(order);
    this.ordered();
    this.current = 0;
    if (node >= 0) this.goTo(node);
    else this.list.update();
  }

  /** What a row says: numbers as text, the name, what is marked. */
  describe(id) {
    const { tree, page } = this, special = this.rows.special(id);
    if (special?.kind === "loss") return { name: special.text, kind: "loss", total: "", self: "", share: -1 };
    const isGroup = special !== null, node = isGroup ? special.members[0] : id;
    const of = isGroup ? special : { total: tree.total[id], self: tree.self[id], floor: tree.floor[id], open: 0 };
    const exact = isGroup ? !special.open : of.total >= 0;
    const isTask = !isGroup && page.isTask(id);
    const isIrq = tree.isInterrupt(node);
    const error = isTask ? null : tree.errors.at(node);
    return {
      node,
      kind: isTask ? "task" : page.isRest(node) ? "rest" : isIrq ? "interrupt" : isGroup ? "group" : "call",
      name: page.nameOf(node),
      times: isGroup ? special.count : countOf(tree, id),
      total: exact ? page.time(of.floor) : of.floor > 0 ? `≥ ${formatNs(of.floor)}` : "?",
      self: isTask || isIrq ? "" : page.time(of.self),
      share: exact || of.floor > 0 ? page.shareOf(of.floor) : -1,
      error: error ? { text: page.errorText(error), sure: error.sure } : null,
      nInside: isIrq ? (special?.members ?? [id]).reduce((sum, one) => sum + failedBelow(tree, one), 0) : tree.failed.get(id) ?? 0,
      context: isTask ? "" : CONTEXTS[tree.context[node]],
      above: isTask || tree.parent[node] < 0 ? "" : CONTEXTS[tree.context[tree.parent[node]]],
      marks: isTask ? [] : MARKS.filter(([flag]) => tree.flags[node] & flag),
      born: node === page.head.born,
    };
  }

  fill(element, row) {
    const id = this.rows.id(row), depth = this.rows.depth(row);
    const canOpen = this.rows.canOpen(row), isOpen = this.rows.isOpen(row);
    element.id = `row-${row}`;
    element.dataset.row = row;
    element.classList.toggle("current", row === this.current);
    element.setAttribute("aria-selected", row === this.current);
    element.setAttribute("aria-rowindex", row + 2);
    // What says the same stays: an element that is replaced between press and release gets no click.
    const stamp = [id, depth, isOpen, this.rows.order, this.page.search?.text].join();
    if (element.stamp === stamp) return;
    element.stamp = stamp;
    const said = this.describe(id);
    element.className = `row ${said.kind}${row === this.current ? " current" : ""}${said.error ? " failed" : ""}`;
    element.setAttribute("aria-level", depth + 1);
    if (canOpen) element.setAttribute("aria-expanded", isOpen);
    else element.removeAttribute("aria-expanded");
    const bar = el("span", { class: "bar" });
    bar.style.width = `${Math.max(0, Math.min(said.share, 1)) * 100}%`;
    const name = el("div", { role: "gridcell", class: "cell time" });
    name.style.paddingInlineStart = `calc(${Math.min(depth, DEEPEST)} * var(--indent))`;
    name.append(
      el("span", { class: "twist", "aria-hidden": "true" }, canOpen ? (isOpen ? "▾" : "▸") : ""),
      this.label(said, depth),
    );
    element.replaceChildren(
      el("div", { role: "gridcell", class: "cell total", title: MEANS[said.total[0]] }, said.total),
      el("div", { role: "gridcell", class: "cell self", title: MEANS[said.self[0]] }, said.self),
      el("div", { role: "gridcell", class: "cell share" }, bar, el("span", {}, formatShare(said.share))),
      name,
    );
  }

  label(said, depth) {
    const [, name, module] = /^(.*?)( \[[^\]]*\])?$/s.exec(said.name);
    const of = said.kind === "call" || said.kind === "group" || said.kind === "interrupt";
    const found = of && this.page.search?.matches(this.tree.label[said.node]);
    return el("span", { class: "label" },
      depth > DEEPEST ? el("span", { class: "deep", title: "how deep this is" }, `${depth} `) : null,
      el("span", { class: `name${found ? " found" : ""}` }, of ? name : said.name),
      of && module ? el("span", { class: "module" }, module) : null,
      said.times > 1 ? el("span", { class: "times" }, ` × ${formatCount(said.times)}`) : null,
      said.error ? el("span", { class: `error${said.error.sure ? "" : " unsure"}` }, ` ✗ ${said.error.text}`) : null,
      said.nInside ? el("span", { class: "error" }, ` ✗ ${formatCount(said.nInside)} ${said.kind === "rest" ? "with errors" : "inside"}`) : null,
      said.born ? el("span", { class: "born" }, " ← born here") : null,
      said.context && said.context !== said.above ? el("span", { class: "badge irq" }, `⚡ ${said.context}`) : null,
      said.marks?.map(([, word, meaning]) => el("span", { class: "badge", title: meaning }, word)) ?? null);
  }

  refresh() {
    this.list.update();
    this.grid.setAttribute("aria-rowcount", this.rows.length + 1);
    this.grid.setAttribute("aria-activedescendant", `row-${this.current}`);
  }

  /** Make a row the current one, in view. */
  select(row, { quietly = false } = {}) {
    this.current = Math.max(0, Math.min(row, this.rows.length - 1));
    this.list.show(this.current);
    this.refresh();
    if (!quietly) this.page.selected(this.rows.id(this.current));
  }

  /** Open what is above `node` and make it the current row; false if there is no such call. */
  goTo(node, options) {
    const row = this.rows.reveal(node);
    if (row < 0) return false;
    this.select(row, options);
    return true;
  }

  toggle(row) {
    if (this.rows.isOpen(row)) this.rows.close(row);
    else this.rows.open(row);
    this.refresh();
  }

  /** Always into what was at work longest, from the current row or, in a new page, from the longest root. */
  goHot(row = this.current) {
    this.select(this.rows.openHot(row));
  }

  /** Open every row, groups too. */
  openAll() {
    this.rows.openAll();
    this.select(this.current);
  }

  closeAll() {
    this.rows.reset();
    this.select(0);
  }

  click(event) {
    const element = event.target.closest(".row[data-row]");
    if (!element) return;
    const row = Number(element.dataset.row), id = this.rows.id(row), node = this.rows.special(id)?.members?.[0] ?? id;
    if ((event.ctrlKey || event.metaKey) && node >= 0 && this.page.openSource(this.tree.label[node])) return;
    const wasCurrent = row === this.current;
    this.select(row);
    if (event.target.closest(".twist") || (wasCurrent && event.detail === 2)) this.toggle(row);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== this.grid) return;
    const { rows, current } = this;
    const does = {
      ArrowDown: () => this.select(current + 1),
      ArrowUp: () => this.select(current - 1),
      ArrowRight: () => (rows.isOpen(current) ? this.select(current + 1) : this.toggle(current)),
      ArrowLeft: () => (rows.isOpen(current) ? this.toggle(current) : rows.above(current) >= 0 && this.select(rows.above(current))),
      Enter: () => this.toggle(current),
      " ": () => this.toggle(current),
      Home: () => this.select(0),
      End: () => this.select(rows.length - 1),
      PageDown: () => this.select(current + this.list.page),
      PageUp: () => this.select(current - this.list.page),
      "*": () => this.openSiblings(),
      h: () => this.goHot(),
      e: () => this.page.nextError(1),
      E: () => this.page.nextError(-1),
      n: () => this.page.nextMatch(1),
      N: () => this.page.nextMatch(-1),
      "/": () => this.page.focusSearch(),
    }[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  }

  /** Open every row that stands beside the current one. */
  openSiblings() {
    const above = this.rows.above(this.current), depth = this.rows.depth(this.current);
    for (let row = above + 1; row < this.rows.length && this.rows.depth(row) >= depth; row++) {
      if (this.rows.depth(row) === depth && !this.rows.isOpen(row)) {
        const n = this.rows.open(row);
        if (row < this.current) this.current += n;
      }
    }
    this.select(this.current);
  }

  /** One line for people who hear the page. */
  sentence(id) {
    const said = this.describe(id);
    return [said.name, said.times > 1 ? plural(said.times, said.kind === "interrupt" ? "interrupt" : "call") : "", said.total, said.error?.text].filter(Boolean).join(", ");
  }
}
