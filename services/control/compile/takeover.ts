import type { Family } from "@sluice/proto/base/names";
import type { ManifestTakeover } from "@sluice/proto/manifest/manifest";
import type { PolicyDocument } from "@sluice/proto/policy/document";
import type { Assembly } from "./assembly.ts";
import { placeOf, type Reporter, type Spot } from "./findings.ts";

/** What a policy claims of others, in each family of the server. */
export function addTakeover(assembly: Assembly, document: PolicyDocument, report: Reporter): void {
  for (const [index, claim] of document.takeover.entries()) {
    const at = { line: claim.line, column: claim.column, path: `takeover[${index}]` };
    const origin = report.origin(at);
    const inFamilies = (make: (family: Family) => ManifestTakeover) => assembly.families.map(make);
    switch (claim.what) {
      case "qdisc":
        if (!document.shaping.some(({ device, egress }) => device === claim.device && egress))
          report.problem(
            at,
            `the qdisc of ${claim.device} is claimed, and nothing that leaves there is shaped`,
          );
        assembly.takeover.push({ what: "qdisc", device: claim.device, origin });
        break;
      case "chain-policy": {
        const { hook, verdict } = claim;
        if (verdict === "drop" && !document.firewall.defaults.some((one) => one.hook === hook))
          report.problem(at, `the policy of ${hook} can only be drop where the hook has a default too`, {
            expected: `firewall.default: { ${hook}: drop }: what nothing may cut off passes before it`,
          });
        const policy = { hook, table: "filter", verdict: verdict === "drop" ? "DROP" : "ACCEPT" } as const;
        refuseTwoWays(assembly, policy, report, at);
        assembly.takeover.push(
          ...inFamilies((family) => ({ what: "chain-policy", family, ...policy, origin })),
        );
        break;
      }
      case "chain":
        assembly.takeover.push(
          ...inFamilies((family) => ({
            ...{ what: "chain", family, table: claim.table, chain: claim.chain, origin },
            ...(claim.except && { except: claim.except }),
          })),
        );
        break;
      case "table":
        assembly.takeover.push(
          ...inFamilies((family) => ({ what: "table", family, table: claim.table, origin })),
        );
        break;
    }
  }
}

function refuseTwoWays(
  { takeover }: Assembly,
  { hook, verdict }: { hook: string; verdict: string },
  report: Reporter,
  at: Spot,
): void {
  const other = takeover.find(
    (one) => one.what === "chain-policy" && one.hook === hook && one.verdict !== verdict,
  );
  if (other !== undefined)
    report.problem(at, `the policy of ${hook} can't be ${verdict}: ${placeOf(other.origin)} says otherwise`);
}

/** One claim per thing; its order is that of the policies. */
export function distinctTakeover(all: readonly ManifestTakeover[]): ManifestTakeover[] {
  const seen = new Set<string>();
  return all.filter(({ origin: _, ...claim }) => {
    const key = JSON.stringify(claim);
    return seen.has(key) ? false : seen.add(key);
  });
}
