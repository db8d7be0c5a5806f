import { openRehearsal, type RehearsalNamespace } from "@sluice/agents/exec/rehearsal-namespace";

/** The kernel that a driver's cases are tried on, and how much of it they may ask: a stock one answers ten times slower. */
export interface Where {
  open(): Promise<RehearsalNamespace>;
  /** of fast-check */
  runs: number;
  /** entries of a long list */
  many: number;
  /** for rules that use a set */
  iptables: "iptables-nft" | "iptables-legacy";
  /** a set type that this kernel lacks, if it lacks one */
  lacks?: string | undefined;
}

export const HERE: Where = {
  open: openRehearsal,
  runs: 15,
  many: 100_000,
  iptables: "iptables-nft",
  lacks: "hash:net,net",
};
