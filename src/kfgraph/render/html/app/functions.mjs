// The functions that took time, one row each: sorted by any column.
import { el, VirtualRows } from "./dom.mjs";
import { formatCount, formatNs, formatShare } from "./units.mjs";

const NS = (value) => formatNs(value);
const COUNT = (value) => (value < 0 ? "" : formatCount(value));
export const COLUMNS = [
  ["self_ns", "Self", NS], ["uncertain_ns", "±", NS], ["share", "Share", formatShare], ["total_ns", "Total", NS],
  ["total_asleep_ns", "Asleep", NS], ["total_irq_ns", "Interrupts", NS], ["n_calls", "Calls", COUNT],
  ["avg_ns", "Average", NS], ["p50_ns", "Median", NS], ["p99_ns", "99 %", NS], ["max_ns", "Longest", NS],
  ["n_errors", "Failed", COUNT], ["name", "Function", String],
];

/** Times that are less what tracing took, where that was asked for. */
const CORRECTED = ["self_ns", "total_ns", "total_irq_ns", "avg_ns", "p50_ns", "p99_ns", "max_ns"];

/** The rows in order of a column: numbers from the largest, unknown ones last, names from A; behind all work, waiting,
 *  and calls in interrupts. */
export function sortedBy(functions, column, reversed = false) {
  const values = functions[column];
  const order = Array.from(values.keys());
  const compare = column === "name"
    ? (a, b) => (values[a] < values[b] ? -1 : values[a] > values[b] ? 1 : 0)
    : (a, b) => values[b] - values[a];
  const { waits = [], irq = [] } = column === "name" ? {} : functions;
  const place = (i) => Number(waits[i] ?? 0) + 2 * Number(irq[i] ?? 0);
  const apart = (a, b) => place(a) - place(b);
  order.sort((a, b) => apart(a, b) || (reversed ? compare(b, a) : compare(a, b)) || a - b);
  return order;
}

/** Each row's part of the self time at work and in interrupts; -1 where it is not known, and of waiting. */
export function shares(functions, selfNs) {
  return functions.self_ns.map((ns, i) => (ns < 0 || functions.waits[i] ? -1 : ns / Math.max(selfNs, 1)));
}

export class FunctionTable {
  constructor(page, host) {
    this.page = page;
    this.functions = page.head.functions;
    this.functions.share = shares(this.functions, page.head.self_ns);
    const has = {
      uncertain_ns: page.head.estimated,
      n_errors: this.functions.n_errors.some((n) => n >= 0),
      total_asleep_ns: (this.functions.total_asleep_ns ?? []).some((ns) => ns > 0),
      total_irq_ns: (this.functions.total_irq_ns ?? []).some((ns) => ns > 0),
    };
    this.columns = COLUMNS.filter(([name]) => has[name] ?? true);
    this.by = "self_ns";
    this.reversed = false;
    this.current = 0;
    this.text = "";
    this.grid = el("div", { class: `grid functions${page.head.estimated ? " estimated" : ""}`, role: "grid", tabindex: "0", "aria-label": "Functions" });
    this.header = el("div", { class: "row header", role: "row" }, this.columns.map(([name, title]) =>
      el("div", { role: "columnheader", class: `cell ${name}`, "data-by": name },
        el("button", { type: "button", onclick: () => this.sortBy(name) }, this.titleOf(name, title)))));
    this.grid.append(this.header);
    host.append(this.grid);
    this.list = new VirtualRows(this.grid, { count: () => this.order.length, fill: (e, row) => this.fill(e, row) });
    this.grid.addEventListener("keydown", (event) => this.key(event));
    this.grid.addEventListener("click", (event) => {
      const row = event.target.closest(".row[data-row]");
      if (!row) return;
      const label = this.page.head.names.indexOf(this.functions.name[this.order[Number(row.dataset.row)]]);
      if ((event.ctrlKey || event.metaKey) && label >= 0 && this.page.openSource(label)) return;
      this.select(Number(row.dataset.row));
      if (event.target.closest("button.name")) this.find();
    });
    this.arrange();
  }

  /** ≈ before the titles of times that are estimates. */
  titleOf(name, title) { return this.page.head.estimated && CORRECTED.includes(name) ? `≈ ${title}` : title; }

  sortBy(column) {
    this.reversed = this.by === column && !this.reversed;
    this.by = column;
    this.current = 0;
    this.arrange();
  }

  /** Only functions whose name holds `text`. */
  filter(text) {
    this.text = text.toLowerCase();
    this.current = 0;
    this.arrange();
  }

  arrange() {
    const names = this.functions.name;
    this.order = sortedBy(this.functions, this.by, this.reversed)
      .filter((i) => !this.text || names[i].toLowerCase().includes(this.text));
    for (const cell of this.header.children) {
      const up = (this.by === "name") !== this.reversed;
      cell.setAttribute("aria-sort", cell.dataset.by !== this.by ? "none" : up ? "ascending" : "descending");
    }
    this.grid.setAttribute("aria-rowcount", this.order.length + 1);
    this.list?.scrollTo(0);
  }

  fill(element, row) {
    const at = this.order[row];
    element.dataset.row = row;
    element.id = `function-${row}`;
    element.classList.toggle("current", row === this.current);
    element.setAttribute("aria-rowindex", row + 2);
    element.setAttribute("aria-selected", row === this.current);
    if (element.stamp === at) return;
    element.stamp = at;
    element.replaceChildren(...this.columns.map(([name, , format]) => {
      const text = format(this.functions[name][at]);
      if (name === "name") {
        const button = el("button", { type: "button", class: "name", tabindex: "-1", title: "show its calls in the tree" }, this.functions.irq[at] ? `⚡ ${text}` : text);
        return el("div", { role: "gridcell", class: "cell name" }, button, this.functions.waits[at] ? " (waiting)" : "");
      }
      const cell = el("div", { role: "gridcell", class: `cell ${name}` });
      if (name === "share") {
        const bar = el("span", { class: "bar" });
        bar.style.width = `${Math.max(0, this.functions.share[at]) * 100}%`;
        cell.append(bar);
      }
      cell.append(el("span", {}, text));
      return cell;
    }));
  }

  select(row) {
    this.current = Math.max(0, Math.min(row, this.order.length - 1));
    this.list.show(this.current);
    this.list.update();
    this.grid.setAttribute("aria-activedescendant", `function-${this.current}`);
  }

  find() {
    if (this.order.length) this.page.findFunction(this.functions.name[this.order[this.current]]);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== this.grid) return;
    const does = {
      ArrowDown: () => this.select(this.current + 1),
      ArrowUp: () => this.select(this.current - 1),
      PageDown: () => this.select(this.current + this.list.page),
      PageUp: () => this.select(this.current - this.list.page),
      Home: () => this.select(0),
      End: () => this.select(this.order.length - 1),
      Enter: () => this.find(),
      "/": () => this.page.focusSearch(),
    }[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  }
}
