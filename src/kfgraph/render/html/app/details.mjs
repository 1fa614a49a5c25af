// What there is to say about one row of the tree, beside it.
import { el } from "./dom.mjs";
import { APART } from "./links.mjs";
import { FLAG, callsIn, countOf, pathTo } from "./tree.mjs";
import { averageNs, formatCount, formatNs, formatShare, plural } from "./units.mjs";

const CONTEXTS = ["task", "softirq", "hardirq", "nmi", "not told"];

/** The facts about a node, or a group of calls, as [title, text or element]. */
export function factsOf(page, id) {
  const { tree } = page, special = page.grid.rows.special(id);
  if (special?.kind === "loss") return [["Lost", special.text]];
  const node = special ? special.members[0] : id;
  if (page.isTask(node)) {
    const n = callsIn(tree, node);
    return [["Task", page.nameOf(node)], ["Calls", formatCount(n)],
      ["Total", tree.total[node] < 0 ? `≥ ${formatNs(tree.floor[node])}` : page.time(tree.total[node])], ...tracerFacts(tree, [node])];
  }
  if (tree.isInterrupt(node)) return interruptFacts(page, special?.members ?? [id], special);
  const of = special ?? { total: tree.total[node], self: tree.self[node], floor: tree.floor[node], open: tree.total[node] < 0 ? 1 : 0 };
  const isRest = page.isRest(node), sum = special ?? tree.sums?.get(node);
  const facts = isRest ? [] : [["Function", page.nameOf(node)]];
  const source = isRest ? "" : page.sourceOf(tree.label[node]);
  if (source) facts.push(["Source", el("a", { href: source, ...APART }, shownAddress(source))]);
  if (sum) {
    facts.push(isRest ? ["Left out", plural(sum.count, "call")] : ["Calls", `${formatCount(sum.count)} of one caller`]);
    if (sum.max >= 0) facts.push(["Each", `${page.time(sum.min)} to ${page.time(sum.max)}${isRest ? ", without what they called" : ""}`]);
    if (isRest && tree.failed.has(node)) facts.push(["Returned errors", formatCount(tree.failed.get(node))]);
    if (!special && !isRest) facts.push(["Single calls", "are not in this page"]);
  }
  if (!special) {
    const error = tree.errors.at(node);
    if (error) facts.push(["Returned", `${page.errorText(error)}${error.sure ? "" : " (it looks like an error)"}`]);
    else if (page.returned?.(node)) facts.push(["Returned", page.returned(node)]);
  }
  facts.push(["Total", of.open ? (of.floor > 0 ? `≥ ${formatNs(of.floor)}` : "not known") : page.time(of.floor)]);
  facts.push(["Self", of.self < 0 ? "not known" : page.time(of.self)]);
  facts.push(...tracerFacts(tree, special?.members ?? [id]), ...partsOf(page, special?.members ?? [id]));
  if (page.whole > 0) facts.push(["Share", `${formatShare(page.shareOf(of.floor))} of all calls here`]);
  if (!sum) {
    facts.push(["Start", tree.flags[node] & 1024 ? "not known" : `${((tree.start[node] + page.head.since_first_ns) / 1e9).toFixed(9)} s`]);
    if (tree.cpu[node] > 0) facts.push(["CPU", String(tree.cpu[node] - 1)]);
    if (tree.context[node] !== 4) facts.push(["Context", CONTEXTS[tree.context[node]]]);
    facts.push(["Below it", plural(callsIn(tree, node) - 1, "call")]);
    facts.push(...siteOf(page, node));
    if (page.arguments?.(node)) facts.push(["Arguments", page.arguments(node)]);
  }
  return facts;
}

/** Where the caller of a node called it, as far as its return address tells. */
export function siteOf(page, node) {
  const site = page.head.sites?.[(page.tree.site?.[node] ?? 0) - 1];
  if (!site) return [];
  const [place, jumped, address] = site;
  return [jumped ? ["Returns to", `${place}: its caller jumped to it`]
    : ["Called at", address ? el("a", { href: address, ...APART }, place) : place]];
}

/** What tracing took of the totals of these nodes, where it is not in them. */
function tracerFacts(tree, nodes) {
  if (!tree.tracer) return [];
  const [took, uncertain] = [tree.tracer, tree.uncertain].map((of) => nodes.reduce((sum, one) => sum + of[one], 0));
  return [["Tracing took", `${formatNs(took)} ± ${formatNs(uncertain)}, in no total`]];
}

/** How much of the totals of these nodes is no work. */
function partsOf(page, nodes) {
  const { tree } = page, found = [];
  for (const [title, few] of [["Asleep", tree.asleep], ["Preempted", tree.preempted], ["Interrupts", tree.irq]]) {
    const ns = nodes.reduce((sum, one) => sum + (few?.get(one) ?? 0), 0);
    if (ns > 0) found.push([title, `${few === tree.irq ? page.time(ns) : formatNs(ns)} of the total`]);
  }
  return found;
}

/** The facts about interrupts of one kind that hit one call. */
function interruptFacts(page, nodes, special) {
  const { tree } = page, [node] = nodes, sum = (of) => nodes.reduce((all, one) => all + of(one), 0);
  const n = sum((one) => countOf(tree, one)), floor = sum((one) => tree.floor[one]), isWhole = nodes.every((one) => tree.total[one] >= 0);
  const facts = [["Interrupt", page.nameOf(node)]];
  if (n > 1) facts.push(["Times", formatCount(n)]);
  facts.push(["Total", isWhole ? page.time(floor) : floor > 0 ? `≥ ${formatNs(floor)}` : "not known"]);
  if (n > 1 && isWhole) facts.push(["Average", page.time(averageNs(floor, n))]);
  facts.push(...tracerFacts(tree, nodes), ...partsOf(page, nodes));
  if (page.whole > 0) facts.push(["Share", `${formatShare(page.shareOf(floor))} of all calls here`]);
  let first = node;
  while (tree.isInterrupt(first)) first += 1;
  if (!special && !tree.sums?.get(first) && !page.isRest(first)) {
    if (!(tree.flags[first] & FLAG.START_UNKNOWN)) facts.push(["Start", `${((tree.start[first] + page.head.since_first_ns) / 1e9).toFixed(9)} s`]);
    if (tree.cpu[first] > 0) facts.push(["CPU", String(tree.cpu[first] - 1)]);
  }
  facts.push(["Made of", plural(sum((one) => callsIn(tree, one)), "call")]);
  const above = tree.parent[node];
  if (above >= 0) facts.push(["It hit", `${page.nameOf(above)}${page.isTask(above) ? "" : ", which did not call it"}`]);
  return facts;
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
  return `one of ${plural(n, "call")}: half within ${page.time(functions.p50_ns[at])}, 99 % within ${page.time(functions.p99_ns[at])}, longest ${page.time(functions.max_ns[at])}`;
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
