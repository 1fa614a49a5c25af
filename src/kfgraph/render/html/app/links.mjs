// Where the sources of functions are. render/html/addresses.py writes what this reads.

/** The address of the source of the function `label`, whose name is `name`; "" if that is not known. */
export function addressOf(links, label, name) {
  const [begin, rest] = links, at = rest?.[label];
  return at === 1 ? begin + name : typeof at === "string" ? begin + at : "";
}

/** What a link needs to open a page of its own, which learns nothing of this one. */
export const APART = { target: "_blank", rel: "noopener noreferrer" };
