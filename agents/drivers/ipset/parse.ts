import { timeoutOf, withoutCounters } from "./entry.ts";
import { comparedOptions } from "./options.ts";
import type { SetSnapshot } from "./snapshot.ts";

/** Reads what `ipset list` prints, with members or (`-t`) without. A fed `ipset -` puts its prompt before the names. */
export function parseList(text: string): SetSnapshot[] {
  const sets: SetSnapshot[] = [];
  let now: SetSnapshot | undefined;
  let lasting: string[] | undefined;
  let expiring: string[] = [];
  for (const raw of text.split("\n")) {
    const line = raw.replace(/^(?:ipset> )+/, "");
    if (line === "") continue;
    if (line.startsWith("Name: ")) {
      now = { name: line.slice(6), type: "", family: null, options: [], count: 0, references: 0 };
      lasting = undefined;
      sets.push(now);
    } else if (now === undefined) {
    } else if (lasting !== undefined) {
      (timeoutOf(line) ? expiring : lasting).push(withoutCounters(line));
    } else if (line === "Members:") {
      lasting = [];
      expiring = [];
      now.members = { lasting, expiring };
    } else {
      header(now, line);
    }
  }
  return sets;
}

function header(set: SetSnapshot, line: string): void {
  const colon = line.indexOf(": ");
  const value = line.slice(colon + 2).trim();
  switch (line.slice(0, colon)) {
    case "Type":
      set.type = value;
      return;
    case "Header":
      set.family = /(?:^| )family inet6(?: |$)/.test(value)
        ? 6
        : /(?:^| )family inet(?: |$)/.test(value)
          ? 4
          : null;
      set.options = comparedOptions(value);
      return;
    case "Number of entries":
      set.count = Number(value);
      return;
    case "References":
      set.references = Number(value);
      return;
  }
}
