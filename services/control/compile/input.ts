import type { Problem } from "@sluice/proto/base/errors";
import type { Facts } from "@sluice/proto/manifest/facts";
import type { Manifest } from "@sluice/proto/manifest/manifest";
import type { PolicyDocument } from "@sluice/proto/policy/document";

/** One policy as it is assigned to a server; revision 0 is a document that isn't stored yet. */
export interface AssignedPolicy {
  revision: number;
  document: PolicyDocument;
}

/** Everything that compile may read. Nothing else decides a manifest. */
export interface CompileInput {
  assigned: readonly AssignedPolicy[];
  server: { name: string; labels: Readonly<Record<string, string>> };
  facts: Facts;
  /** the live lists there are, by name, with the families they hold */
  lists: Readonly<Record<string, { families: readonly (4 | 6)[] }>>;
}

export type CompileResult =
  | { ok: true; manifest: Manifest; digest: string; warnings: string[] }
  | { ok: false; problems: Problem[] };

/** The order in which policies apply: by `order`, then by name, whatever the order they are given in. */
export function inOrder(assigned: readonly AssignedPolicy[]): AssignedPolicy[] {
  return [...assigned].sort(
    (a, b) => a.document.order - b.document.order || compareText(a.document.policy, b.document.policy),
  );
}

/** Plain code unit order: the same on every machine, unlike a locale's. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
