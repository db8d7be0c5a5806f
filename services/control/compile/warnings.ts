import type { PolicyDocument } from "@sluice/proto/policy/document";
import type { Assembly } from "./assembly.ts";
import { passesProtected } from "./dispatch.ts";
import { placeOf } from "./findings.ts";
import { optionsOf } from "./rule-options.ts";

/** What is allowed and most likely not meant. Few: a warning that is always there is never read. */
export function addWarnings(
  { dispatches, findings, reach }: Assembly,
  documents: readonly PolicyDocument[],
): void {
  const warn = (text: string) => findings.warnings.push(text);
  for (const dispatch of dispatches.values()) {
    const { table, hook, tail, entries, after } = dispatch;
    if (tail !== undefined && hook !== "FORWARD" && !documents.some(acceptsEstablished))
      warn(
        `${placeOf(tail.origin)}: ${hook} ends in ${tail.verdict} and no rule accepts ESTABLISHED connections: ` +
          "answers to what this server itself asks for are dropped",
      );
    if (tail !== undefined && hook === "INPUT" && reach.length === 0)
      warn(
        `${placeOf(tail.origin)}: INPUT ends in ${tail.verdict} and no policy has \`reach\`: ` +
          "nothing proves after a change that you can still get in",
      );
    const deciding = [...entries, ...after].filter(({ observed }) => !observed);
    if ((table === "mangle" || table === "raw") && deciding.length > 0 && passesProtected(dispatch))
      warn(
        `${deciding.map(({ origin }) => placeOf(origin)).join(", ")}: something can drop in ${table} ${hook}, ` +
          "so protected addresses pass before these rules and see none of them",
      );
  }
}

function acceptsEstablished({ firewall }: PolicyDocument): boolean {
  return firewall.chains
    .filter(({ table }) => table === "filter")
    .some(({ rules }) =>
      rules.some(({ words }) => {
        const options = [...optionsOf(words)];
        const isState = options.some(
          ({ name, value, negated }) =>
            (name === "--ctstate" || name === "--state") &&
            !negated &&
            value?.split(",").includes("ESTABLISHED"),
        );
        return isState && options.some(({ name, value }) => name === "--jump" && value === "ACCEPT");
      }),
    );
}
