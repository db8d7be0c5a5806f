import { z } from "zod";
import { familyNumber } from "./manifest.ts";

/** What a server's kernel and tools can really do: probed in a throw-away namespace, not guessed. */
export const capabilities = z.strictObject({
  iptables: z.strictObject({ version: z.string(), backend: z.enum(["nft", "legacy"]) }),
  ipv6: z.boolean(),
  /** kinds that `tc qdisc add` accepts: htb, tbf, sfq, fq_codel, … */
  qdiscs: z.array(z.string()),
  /** kinds that `tc filter add` accepts: fw, u32, flower, … */
  filters: z.array(z.string()),
  ifb: z.boolean(),
  setTypes: z.array(z.string()),
  /** the largest `--hitcount` that `-m recent` takes; 0 where the match is missing */
  recentMaxHits: z.int().min(0),
  /** how many addresses a list of `-m recent` remembers; absent where it can't be read, and in facts of older agents */
  recentListSize: z.int().min(1).optional(),
  /** targets that the kernel takes, of those Sluice itself uses: CLASSIFY, MARK, LOG, NFLOG */
  targets: z.array(z.string()),
});
export type Capabilities = z.infer<typeof capabilities>;

export const deviceFacts = z.strictObject({
  name: z.string(),
  mtu: z.int(),
  txQueueLength: z.int(),
  /** CIDR, as `ip addr` shows them */
  addresses: z.array(z.string()),
});
export type DeviceFacts = z.infer<typeof deviceFacts>;

/** What other tools keep in the filter table, as far as it decides how our rules stand beside theirs. */
export const foreignFacts = z.strictObject({
  /** built-in chains with a jump to a chain that isn't ours: `ip4/filter/INPUT` */
  jumps: z.array(z.string()),
  /** the families in which Docker's chain for the rules of others is there */
  dockerUser: z.array(familyNumber),
});
export type ForeignFacts = z.infer<typeof foreignFacts>;

export const facts = z.strictObject({
  hostname: z.string(),
  kernel: z.string(),
  os: z.string(),
  agent: z.string(),
  devices: z.array(deviceFacts),
  capabilities,
  /** absent: the agent didn't look for it */
  foreign: foreignFacts.optional(),
});
export type Facts = z.infer<typeof facts>;
