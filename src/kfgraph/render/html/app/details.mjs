// What there is to say about one row of the tree, beside it.
import { el } from "./dom.mjs";
import { callsIn, pathTo } from "./tree.mjs";
import { formatCount, formatNs, formatShare, plural } from "./units.mjs";

const CONTEXTS = ["task", "softirq", "hardirq", "nmi", "not told"];

/** The facts about a node, or a group of calls, as [title, text or element]. */
export function factsOf(page, id) {
  const { tree } = page, special = page.grid.rows.special(id);
  if (special?.kind === "loss") return [["Lost", special.text]];
  const node = special ? special.members[0] : id;
  if (page.isTask(node)) {
    const n = callsIn(tree, node) - 1;
    return [["Task", page.nameOf(node)], ["Calls", formatCount(n)],
      ["Total", tree.total[node] < 0 ? `≥ ${formatNs(tree.floor[node])}` : formatNs(tree.total[node])]];
  }
  const of = special ?? { total: tree.total[node], self: tree.self[node], floor: tree.floor[node], open: tree.total[node] < 0 ? 1 : 0 };
  const isRest = page.isRest(node), sum = special ?? tree.sums?.get(node);
  const facts = isRest ? [] : [["Function", page.nameOf(node)]];
  const source = isRest ? "" : sourceOf(page, node);
  if (source) facts.push(["Source", el("a", { href: source, target: "_blank", rel: "noopener noreferrer" }, shownAddress(source))]);
  if (sum) {
    facts.push(isRest ? ["Left out", plural(sum.count, "call")] : ["Calls", `${formatCount(sum.count)} of one caller`]);
    if (sum.max >= 0) facts.push(["Each", `${formatNs(sum.min)} to ${formatNs(sum.max)}${isRest ? ", without what they called" : ""}`]);
    if (!special && !isRest) facts.push(["Single calls", "are not in this page"]);
  }
  if (!special) {
    const error = tree.errors.at(node);
    if (error) facts.push(["Returned", `${page.errorText(error)}${error.sure ? "" : " (it looks like an error)"}`]);
    else if (page.returned?.(node)) facts.push(["Returned", page.returned(node)]);
  }
  facts.push(["Total", of.open ? (of.floor > 0 ? `≥ ${formatNs(of.floor)}` : "not known") : formatNs(of.floor)]);
  facts.push(["Self", of.self < 0 ? "not known" : formatNs(of.self)]);
  for (const [title, few] of [["Asleep", tree.asleep], ["Preempted", tree.preempted], ["Interrupts", tree.irq]]) {
    const ns = (special ? special.members : [id]).reduce((sum, one) => sum + (few?.get(one) ?? 0), 0);
    if (ns > 0) facts.push([title, `${formatNs(ns)} of the total`]);
  }
  if (page.whole > 0) facts.push(["Share", `${formatShare(page.shareOf(of.floor))} of all calls here`]);
  if (!sum) {
    facts.push(["Start", tree.flags[node] & 1024 ? "not known" : `${((tree.start[node] + page.head.since_first_ns) / 1e9).toFixed(9)} s`]);
    if (tree.cpu[node] > 0) facts.push(["CPU", String(tree.cpu[node] - 1)]);
    if (tree.context[node] !== 4) facts.push(["Context", CONTEXTS[tree.context[node]]]);
    facts.push(["Below it", plural(callsIn(tree, node) - 1, "call")]);
    if (page.arguments?.(node)) facts.push(["Arguments", page.arguments(node)]);
  }
  return facts;
}

/** Where the source of a node's function is, "" if that is not known. */
export function sourceOf(page, node) {
  const [begin, rest] = page.head.links, at = rest?.[page.tree.label[node]];
  return at === 1 ? begin + page.nameOf(node) : typeof at === "string" ? begin + at : "";
}

/** An address as it is read: a file here by its path, a page by its host. */
function shownAddress(address) {
  if (!address.startsWith("file://")) return address.replace(/^[a-z]+:\/\/([^/]*).*$/, "$1");
  const path = address.slice(7).replace("#L", ":");
  try { return decodeURIComponent(path); } catch { return path; }
}

/** All calls of the same function, in a sentence. */
export function standing(page, node) {
  const { functions } = page.head, at = functions.name.indexOf(page.nameOf(node));
  if (at < 0) return "";
  const n = functions.n_calls[at];
  if (n < 2) return "its only call";
  return `one of ${plural(n, "call")}: half within ${formatNs(functions.p50_ns[at])}, 99 % within ${formatNs(functions.p99_ns[at])}, longest ${formatNs(functions.max_ns[at])}`;
}

/** The panel of a row. */
export function showDetails(page, host, id) {
  const special = page.grid.rows.special(id);
  const { tree } = page, node = special ? special.members?.[0] ?? -1 : id;
  const parts = [el("dl", {}, factsOf(page, id).map(([title, text]) => [el("dt", {}, title), el("dd", {}, text)]))];
  if (node >= 0 && !page.isTask(node)) {
    const said = standing(page, node);
    if (said) parts.push(el("p", { class: "standing" }, said));
    const path = pathTo(page.tree, node);
    parts.push(el("h3", {}, "Callers"), el("ol", { class: "path" }, path.slice(0, -1).reverse().slice(0, 60).map((step) =>
      el("li", {}, el("button", { type: "button", onclick: () => page.grid.goTo(step) }, page.nameOf(step))))));
    const command = page.isRest(node) ? page.commandFor(tree.parent[node]) : page.commandFor(node);
    if (command) parts.push(el("h3", {}, "In a terminal"), el("code", {}, command));
  }
  host.replaceChildren(...parts);
}
