import { z } from "zod";
import {
  acceptWay,
  hookName,
  TEST_EXPECTATIONS,
  TEST_HOOKS,
  TEST_STATES,
  tableName,
} from "../manifest/manifest.ts";

/**
 * A policy as it is understood: the YAML with its defaults filled in, its units turned into numbers and its rules split
 * into words, every part with its line. Variables (`$uplink`) still stand in it: they are resolved per server.
 */
const position = z.strictObject({ line: z.int().min(1), column: z.int().min(1) });
export type Position = z.infer<typeof position>;

/** One iptables rule without `-A CHAIN`: its words after unquoting, in the order written. */
export const policyRule = z.strictObject({
  text: z.string(),
  words: z.array(z.string()),
  /** said explicitly; else the compiler finds out from addresses, protocol and sets */
  family: z.union([z.literal(4), z.literal(6)]).optional(),
  /** counts what it would do, and does it to no packet */
  mode: z.literal("observe").optional(),
  ...position.shape,
});
export type PolicyRule = z.infer<typeof policyRule>;

/** A variable's value, and what it is on some servers: by server name first, then by label `key=value`. */
export const policyVar = z.strictObject({
  value: z.string(),
  servers: z.record(z.string(), z.string()),
  labels: z.record(z.string(), z.string()),
  ...position.shape,
});
export type PolicyVar = z.infer<typeof policyVar>;

export const policySetDocument = z.strictObject({
  name: z.string(),
  type: z.string(),
  /** `create` options as ipset words; `family inet` or `family inet6` among them only where the policy says it */
  options: z.array(z.string()),
  entries: z.array(z.strictObject({ text: z.string(), ...position.shape })),
  ...position.shape,
});
export type PolicySetDocument = z.infer<typeof policySetDocument>;

export const policyChainDocument = z.strictObject({
  table: tableName,
  /** a built-in chain (INPUT …) or one of the policy's own */
  name: z.string(),
  rules: z.array(policyRule),
  /** of a built-in chain: so many of the rules stand before those of others, the rest after them; absent: all before */
  others: z.int().min(0).optional(),
  ...position.shape,
});
export type PolicyChainDocument = z.infer<typeof policyChainDocument>;

export const policyGuard = z.strictObject({
  name: z.string(),
  protocol: z.enum(["tcp", "udp"]),
  ports: z.array(z.string()).min(1),
  /** `hits` are allowed within the time, the next one is banned: kernel hitcount = hits + 1 */
  limits: z
    .array(z.strictObject({ hits: z.int().min(1), withinMs: z.int().min(1000), ...position.shape }))
    .min(1),
  ban: z.strictObject({ forMs: z.int().min(1000), renew: z.boolean() }),
  ...position.shape,
});
export type PolicyGuard = z.infer<typeof policyGuard>;

/** `auto` is the best that the kernel has */
export interface LeafQdisc {
  kind: string;
  args: string[];
  /** its own number, the major one of `8001:`; unless said that of its class, on the device itself 1 */
  handle?: number | undefined;
}

/** What filters lead to classes by. */
export const FILTER_KINDS = ["fw", "u32", "flower", "matchall"] as const;

/** A filter in tc's own words, without its device, its parent and its class: those are where it stands. */
export interface ClassFilter extends Position {
  text: string;
  protocol: string;
  prio: number;
  /** unless said the first number that is free */
  handle?: string | undefined;
  kind: (typeof FILTER_KINDS)[number];
  args: string[];
}

/** What leads packets into classes: a rule with a mark and `fw`, a rule that names the class, or filters of tc's own. */
export const CLASSIFIERS = ["fw", "classify", "u32", "flower"] as const;
export type Classifier = (typeof CLASSIFIERS)[number];

/** A class of a tree; `Own` is what only its kind of tree has. */
export type ClassOf<Own> = Own &
  Position & {
    name: string;
    /** minor number of the class id, 1..0xffff, written in hex in `1:MINOR` */
    minor: number;
    /** major number of the qdisc inside, `10:`, unless that has one of its own */
    handle: number;
    /** the MARK that leads here where the kernel has `fw` */
    mark: number;
    isDefault: boolean;
    match: PolicyRule[];
    filters: ClassFilter[];
    leaf?: LeafQdisc | undefined;
    /** a tree of its own inside, in place of a leaf */
    inside?: ClassTree | undefined;
    children: ClassOf<Own>[];
  };

export interface HtbShare {
  rateBitPerSec: number;
  ceilBitPerSec: number;
  priority?: number | undefined;
  mtuBytes?: number | undefined;
  burstBytes?: number | undefined;
  cburstBytes?: number | undefined;
  quantumBytes?: number | undefined;
  /** what the line adds to each packet, and the least it carries one as */
  overheadBytes?: number | undefined;
  mpuBytes?: number | undefined;
  linklayer?: Linklayer | undefined;
}
/** `atm`: the line carries whole cells */
export type Linklayer = "ethernet" | "atm";
export type HtbClass = ClassOf<HtbShare>;

/** A rate; `first` is what it is in the beginning, for so long. */
export interface HfscCurve {
  /** real time, link share, both of them at once, upper limit: as in tc */
  curve: "rt" | "ls" | "sc" | "ul";
  first?: { rateBitPerSec: number; forMs: number } | undefined;
  rateBitPerSec: number;
}
export type HfscClass = ClassOf<{ curves: HfscCurve[] }>;

/** A prio has as many classes as bands, the first of them always first; they have no classes below. */
export type PrioClass = ClassOf<unknown>;

export type ShapingClass = HtbClass | HfscClass | PrioClass;

interface TreeParts extends Position {
  /** else what the kernel has and the direction allows */
  by?: Classifier | undefined;
  /** as a qdisc's */
  handle?: number | undefined;
}
export type ClassTree =
  | (TreeParts & {
      kind: "htb";
      r2q?: number | undefined;
      /** packets that wait outside of all classes */
      directQlen?: number | undefined;
      classes: HtbClass[];
    })
  | (TreeParts & { kind: "hfsc"; classes: HfscClass[] })
  | (TreeParts & {
      kind: "prio";
      /** the band of each of the 16 priorities, from 0 */
      priomap?: number[] | undefined;
      classes: PrioClass[];
    });

/** One direction of a device: a tree of classes, or a single qdisc (tbf, pfifo, sfq, …) for all of it. */
export type ShapingTree = ClassTree | ({ kind: "single"; qdisc: LeafQdisc } & Position);

export const policyShaping = z.strictObject({
  /** a device name or `$var` */
  device: z.string(),
  egress: z.custom<ShapingTree>().optional(),
  ingress: z.custom<ShapingTree>().optional(),
  ...position.shape,
});
export type PolicyShaping = z.infer<typeof policyShaping>;

/** `from` and `to` as they are written: see test-ends.ts. */
export const policyTest = z.strictObject({
  from: z.string().optional(),
  to: z.string(),
  via: z.string().optional(),
  out: z.string().optional(),
  hook: z.enum(TEST_HOOKS),
  state: z.enum(TEST_STATES),
  expect: z.enum(TEST_EXPECTATIONS),
  ...position.shape,
});
export type PolicyTest = z.infer<typeof policyTest>;

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
  /**
   * `observe`: no packet fares otherwise for this policy, what its rules would do is counted. `imported`: what it says stands
   * on its servers as others made it, and nothing is done before it is adopted. Absent: its rules do what they say
   */
  mode: z.enum(["observe", "imported"]).optional(),
  /** commands on the policy are refused without one */
  reason: z.literal("required").optional(),
  sets: z.array(policySetDocument),
  firewall: z.strictObject({
    /** what happens to a packet that no rule decided, in the hook's tail */
    defaults: z.array(
      z.strictObject({
        hook: hookName,
        verdict: z.enum(["drop", "reject"]),
        log: z.string().optional(),
        ...position.shape,
      }),
    ),
    chains: z.array(policyChainDocument),
    /** unless said: `return` in hooks where other tools have chains of their own, `final` elsewhere */
    accept: z.strictObject({ way: acceptWay, ...position.shape }).optional(),
  }),
  blocks: z.array(
    z.strictObject({ list: z.string(), direction: z.enum(["in", "out", "both"]), ...position.shape }),
  ),
  guards: z.array(policyGuard),
  shaping: z.array(policyShaping),
  probes: z.array(z.strictObject({ tcp: z.string(), ...position.shape })),
  reach: z.array(
    z.strictObject({ protocol: z.literal("tcp"), port: z.int().min(1).max(65535), ...position.shape }),
  ),
  protect: z.array(z.strictObject({ text: z.string(), ...position.shape })),
  external: z.strictObject({
    chains: z.array(z.strictObject({ table: tableName, name: z.string(), ...position.shape })),
    sets: z.array(z.strictObject({ name: z.string(), type: z.string(), ...position.shape })),
  }),
  tests: z.array(policyTest),
  /** what of other tools this policy claims, each thing by its name */
  takeover: z.array(
    z.discriminatedUnion("what", [
      z.strictObject({ what: z.literal("qdisc"), device: z.string(), ...position.shape }),
      z.strictObject({
        what: z.literal("chain-policy"),
        hook: hookName,
        verdict: z.enum(["accept", "drop"]),
        ...position.shape,
      }),
      z.strictObject({
        what: z.literal("chain"),
        table: tableName,
        chain: z.string(),
        /** names of chains, sets and devices: rules that name one of them stay */
        except: z.array(z.string()).optional(),
        ...position.shape,
      }),
      z.strictObject({ what: z.literal("table"), table: tableName, ...position.shape }),
    ]),
  ),
  drift: z.enum(["repair", "report"]),
  deadlineMs: z.int().min(1000),
});
export type PolicyDocument = z.infer<typeof policyDocument>;
