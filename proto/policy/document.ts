import { z } from "zod";
import { acceptWay, hookName, tableName } from "../manifest/manifest.ts";

/**
 * A policy as it is understood: the YAML with its defaults filled in, its units turned into numbers and its rules split
 * into words, every part with its line. Variables (`$uplink`) still stand in it: they are resolved per server.
 */
const line = z.int().min(1);

/** One iptables rule without `-A CHAIN`: its words after unquoting, in the order written. */
export const policyRule = z.strictObject({
  text: z.string(),
  words: z.array(z.string()),
  /** said explicitly; else the compiler finds out from addresses, protocol and sets */
  family: z.union([z.literal(4), z.literal(6)]).optional(),
  /** counts what it would do, and does it to no packet */
  mode: z.literal("observe").optional(),
  line,
  column: z.int().min(1),
});
export type PolicyRule = z.infer<typeof policyRule>;

/** A variable's value, and what it is on some servers: by server name first, then by label `key=value`. */
export const policyVar = z.strictObject({
  value: z.string(),
  servers: z.record(z.string(), z.string()),
  labels: z.record(z.string(), z.string()),
  line,
});
export type PolicyVar = z.infer<typeof policyVar>;

export const policySetDocument = z.strictObject({
  name: z.string(),
  type: z.string(),
  /** `create` options as ipset words; `family inet` or `family inet6` among them only where the policy says it */
  options: z.array(z.string()),
  entries: z.array(z.strictObject({ text: z.string(), line })),
  line,
});
export type PolicySetDocument = z.infer<typeof policySetDocument>;

export const policyChainDocument = z.strictObject({
  table: tableName,
  /** a built-in chain (INPUT …) or one of the policy's own */
  name: z.string(),
  rules: z.array(policyRule),
  line,
});
export type PolicyChainDocument = z.infer<typeof policyChainDocument>;

export const policyGuard = z.strictObject({
  name: z.string(),
  protocol: z.enum(["tcp", "udp"]),
  ports: z.array(z.string()).min(1),
  /** `hits` are allowed within the time, the next one is banned: kernel hitcount = hits + 1 */
  limits: z.array(z.strictObject({ hits: z.int().min(1), withinMs: z.int().min(1000), line })).min(1),
  ban: z.strictObject({ forMs: z.int().min(1000), renew: z.boolean() }),
  line,
});
export type PolicyGuard = z.infer<typeof policyGuard>;

export const leafQdisc = z.strictObject({ kind: z.string(), args: z.array(z.string()) });
export type LeafQdisc = z.infer<typeof leafQdisc>;

export interface ShapingClass {
  name: string;
  /** minor number of the class id, 1..0xffff, written in hex in `1:MINOR` */
  minor: number;
  rateBitPerSec: number;
  ceilBitPerSec: number;
  priority?: number | undefined;
  mtuBytes?: number | undefined;
  burstBytes?: number | undefined;
  cburstBytes?: number | undefined;
  quantumBytes?: number | undefined;
  /** the MARK that leads here where the kernel has `fw` */
  mark: number;
  isDefault: boolean;
  match: z.infer<typeof policyRule>[];
  leaf?: LeafQdisc | undefined;
  children: ShapingClass[];
  line: number;
}
export const shapingClass: z.ZodType<ShapingClass> = z.lazy(() =>
  z.strictObject({
    name: z.string(),
    minor: z.int().min(1).max(0xffff),
    rateBitPerSec: z.int().min(8),
    ceilBitPerSec: z.int().min(8),
    priority: z.int().min(0).max(7).optional(),
    mtuBytes: z.int().optional(),
    burstBytes: z.int().optional(),
    cburstBytes: z.int().optional(),
    quantumBytes: z.int().optional(),
    mark: z.int().min(1),
    isDefault: z.boolean(),
    match: z.array(policyRule),
    leaf: leafQdisc.optional(),
    children: z.array(shapingClass),
    line,
  }),
);

/** One direction of a device: an HTB tree, or a single qdisc (tbf, pfifo, sfq, …) for all of it. */
export const shapingTree = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("htb"),
    r2q: z.int().optional(),
    classes: z.array(shapingClass).min(1),
    line,
  }),
  z.strictObject({ kind: z.literal("single"), qdisc: leafQdisc, line }),
]);
export type ShapingTree = z.infer<typeof shapingTree>;

export const policyShaping = z.strictObject({
  /** a device name or `$var` */
  device: z.string(),
  egress: shapingTree.optional(),
  ingress: shapingTree.optional(),
  line,
});
export type PolicyShaping = z.infer<typeof policyShaping>;

export const policyDocument = z.strictObject({
  policy: z.string(),
  description: z.string(),
  targets: z.strictObject({
    /** any of these names (`*` means all) … */
    servers: z.array(z.string()),
    /** … or all of these labels */
    labels: z.record(z.string(), z.string()),
  }),
  vars: z.record(z.string(), policyVar),
  order: z.int(),
  /** no packet fares otherwise for this policy: what its rules would do is counted. Absent: they do it */
  mode: z.literal("observe").optional(),
  sets: z.array(policySetDocument),
  firewall: z.strictObject({
    /** what happens to a packet that no rule decided, in the hook's tail */
    defaults: z.array(
      z.strictObject({
        hook: hookName,
        verdict: z.enum(["drop", "reject"]),
        log: z.string().optional(),
        line,
      }),
    ),
    chains: z.array(policyChainDocument),
    /** unless said: `return` in hooks where other tools have chains of their own, `final` elsewhere */
    accept: z.strictObject({ way: acceptWay, line }).optional(),
  }),
  blocks: z.array(z.strictObject({ list: z.string(), direction: z.enum(["in", "out", "both"]), line })),
  guards: z.array(policyGuard),
  shaping: z.array(policyShaping),
  probes: z.array(z.strictObject({ tcp: z.string(), line })),
  reach: z.array(z.strictObject({ protocol: z.literal("tcp"), port: z.int().min(1).max(65535), line })),
  protect: z.array(z.strictObject({ text: z.string(), line })),
  external: z.strictObject({
    chains: z.array(z.strictObject({ table: tableName, name: z.string(), line })),
    sets: z.array(z.strictObject({ name: z.string(), type: z.string(), line })),
  }),
  drift: z.enum(["repair", "report"]),
  deadlineMs: z.int().min(1000),
});
export type PolicyDocument = z.infer<typeof policyDocument>;
