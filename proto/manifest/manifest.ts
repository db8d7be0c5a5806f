import { z } from "zod";

/**
 * What one server's kernel must hold, compiled from its assignment and its facts.
 *
 * 1. Content-addressed: equal manifests have equal digests, so it names no server and holds no time.
 * 2. Complete: whatever is ours and isn't in here is to go. Lists are named here, their members travel apart.
 * 3. Every object carries its origin, so that a refusal or a drift can name the policy's line.
 * 4. What only the server itself knows (its own addresses, gateways, resolvers, the addresses of control and NATS)
 *    is filled in by the agent, into the protect and control sets.
 */
export const TABLES = ["raw", "mangle", "nat", "filter"] as const;
export const tableName = z.enum(TABLES);
export type TableName = z.infer<typeof tableName>;

export const HOOKS = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"] as const;
export const hookName = z.enum(HOOKS);
export type HookName = z.infer<typeof hookName>;

export const familyNumber = z.union([z.literal(4), z.literal(6)]);

/** Where an object came from: a line of a policy's revision (revision 0: not stored yet), or Sluice itself. */
export const origin = z.strictObject({
  policy: z.string(),
  revision: z.int().min(0),
  line: z.int().min(1).optional(),
  /** dotted path in the policy, such as `guards.ssh` */
  path: z.string().optional(),
});
export type Origin = z.infer<typeof origin>;

export const manifestSet = z.strictObject({
  name: z.string().max(31),
  /** ipset's own type name, such as `hash:net` */
  type: z.string(),
  /** null for types without a family: `bitmap:port`, `list:set` */
  family: familyNumber.nullable(),
  /** `create` options beside type and family, as ipset words: ["timeout", "600", "counters"] */
  options: z.array(z.string()),
  /** canonical, sorted, distinct */
  entries: z.array(z.string()),
  origin,
});
export type ManifestSet = z.infer<typeof manifestSet>;

export const manifestList = z.strictObject({
  list: z.string(),
  sets: z.array(z.strictObject({ name: z.string().max(31), family: familyNumber })),
});
export type ManifestList = z.infer<typeof manifestList>;

export const manifestRule = z.strictObject({
  /** the arguments after `-A CHAIN`, quoted as iptables-restore reads them */
  args: z.string(),
  origin: origin.optional(),
  /**
   * What the packets it matches are counted as. Absent: hits of its origin. `observed`: its origin would have decided
   * about them. `nothing`: a step on the way.
   */
  counts: z.enum(["observed", "nothing"]).optional(),
});
export type ManifestRule = z.infer<typeof manifestRule>;

export const manifestChain = z.strictObject({
  family: familyNumber,
  table: tableName,
  name: z.string().max(28),
  rules: z.array(manifestRule),
});
export type ManifestChain = z.infer<typeof manifestChain>;

/** Whether what our rules accept has passed, or goes on to what other tools have in the hook. */
export const acceptWay = z.enum(["final", "return"]);
export type AcceptWay = z.infer<typeof acceptWay>;

/** A jump from a built-in chain: `head` is inserted first, `tail` is appended. */
export const manifestHook = z.strictObject({
  family: familyNumber,
  table: tableName,
  hook: hookName,
  chain: z.string().max(28),
  at: z.enum(["head", "tail"]),
  /** the foreign chain that the jump stands in while that is there: Docker's, before whose rules ours have to come */
  via: z.string().max(28).optional(),
  /** of a head whose rules accept something */
  accept: acceptWay.optional(),
});
export type ManifestHook = z.infer<typeof manifestHook>;

/** `kind` and `args` as tc takes them: `qdisc add dev D parent P handle H KIND ARGS…` */
export const tcQdisc = z.strictObject({
  parent: z.string(), // "root" or a class id
  handle: z.string(), // "1:"
  kind: z.string(),
  args: z.array(z.string()),
  origin: origin.optional(),
});
export type TcQdisc = z.infer<typeof tcQdisc>;

export const tcClass = z.strictObject({
  parent: z.string(), // "1:" or a class id
  classid: z.string(), // "1:10"
  kind: z.string(),
  args: z.array(z.string()),
  origin: origin.optional(),
});
export type TcClass = z.infer<typeof tcClass>;

/** Every filter has a fixed prio and handle: a replace without a handle would make a second one. */
export const tcFilter = z.strictObject({
  parent: z.string(),
  protocol: z.string(),
  prio: z.int().min(1),
  handle: z.string(),
  kind: z.string(),
  args: z.array(z.string()),
  origin: origin.optional(),
});
export type TcFilter = z.infer<typeof tcFilter>;

/** One tree of qdiscs, parents before children. */
export const tcTree = z.strictObject({
  qdiscs: z.array(tcQdisc),
  classes: z.array(tcClass),
  filters: z.array(tcFilter),
});
export type TcTree = z.infer<typeof tcTree>;

/** tc is owned per device. `ingress` shapes what comes in, on an IFB device of our own. */
export const manifestDevice = z.strictObject({
  device: z.string().max(15),
  egress: tcTree.optional(),
  ingress: z.strictObject({ ifb: z.string().max(15), tree: tcTree }).optional(),
});
export type ManifestDevice = z.infer<typeof manifestDevice>;

/** Something foreign that our rules refer to: stubbed in a rehearsal, never created live. */
export const manifestExternal = z.strictObject({
  chains: z.array(z.strictObject({ family: familyNumber, table: tableName, name: z.string() })),
  sets: z.array(z.strictObject({ name: z.string(), type: z.string(), family: familyNumber })),
});
export type ManifestExternal = z.infer<typeof manifestExternal>;

/** A packet of a policy's `tests`, and what is to become of it. */
export const TEST_HOOKS = ["input", "output", "forward"] as const;
export const TEST_STATES = ["new", "established"] as const;
export const TEST_EXPECTATIONS = ["accept", "drop", "reject"] as const;

export const manifestTest = z.strictObject({
  protocol: z.enum(["tcp", "udp", "icmp"]),
  hook: z.enum(TEST_HOOKS),
  state: z.enum(TEST_STATES),
  family: familyNumber,
  /** the server's own address where it is absent, as with `to` */
  from: z.string().optional(),
  fromPort: z.int().min(1).max(65_535).optional(),
  to: z.string().optional(),
  port: z.int().min(1).max(65_535).optional(),
  /** the device it comes in by, or goes out by in `output` */
  via: z.string().optional(),
  /** the device it goes out by in `forward` */
  out: z.string().optional(),
  expect: z.enum(TEST_EXPECTATIONS),
  origin,
});
export type ManifestTest = z.infer<typeof manifestTest>;
/** Something foreign that is claimed, each thing by its name: what stands of it goes, and its text is kept. */
export const manifestTakeover = z.discriminatedUnion("what", [
  z.strictObject({ what: z.literal("qdisc"), device: z.string().max(15), origin }),
  z.strictObject({
    what: z.literal("chain-policy"),
    family: familyNumber,
    table: tableName,
    hook: hookName,
    verdict: z.enum(["ACCEPT", "DROP"]),
    origin,
  }),
  /** a built-in chain: the rules of others in it; another: the chain, and the rules in built-in chains that go to it */
  z.strictObject({
    what: z.literal("chain"),
    family: familyNumber,
    table: tableName,
    chain: z.string().max(28),
    /** names of chains, sets and devices, with * and ?: rules of a built-in chain that name one of them stay */
    except: z.array(z.string()).optional(),
    origin,
  }),
  z.strictObject({ what: z.literal("table"), family: familyNumber, table: tableName, origin }),
]);
export type ManifestTakeover = z.infer<typeof manifestTakeover>;

export const manifest = z.strictObject({
  v: z.literal(1),
  policies: z.array(z.strictObject({ policy: z.string(), revision: z.int().min(0) })),
  /** addresses and networks of the policies' `protect`, beside what the agent adds of its own */
  protect: z.array(z.string()),
  sets: z.array(manifestSet),
  lists: z.array(manifestList),
  chains: z.array(manifestChain),
  hooks: z.array(manifestHook),
  devices: z.array(manifestDevice),
  external: manifestExternal,
  takeover: z.array(manifestTakeover).optional(),
  /** outgoing `address:port` or `[v6]:port`, must still work after the change */
  probes: z.array(z.strictObject({ tcp: z.string(), origin })),
  /** incoming, tried from outside */
  reach: z.array(z.strictObject({ protocol: z.literal("tcp"), port: z.int().min(1).max(65535), origin })),
  /** sent as real packets in a rehearsal; absent where there is none */
  tests: z.array(manifestTest).optional(),
  drift: z.enum(["repair", "report"]),
  /** from the first write to confirmed, else the server undoes the change by itself */
  deadlineMs: z.int().min(1000),
});
export type Manifest = z.infer<typeof manifest>;

/** The manifest of a server that is to hold nothing of ours. */
export const EMPTY_MANIFEST: Manifest = {
  v: 1,
  policies: [],
  protect: [],
  sets: [],
  lists: [],
  chains: [],
  hooks: [],
  devices: [],
  external: { chains: [], sets: [] },
  probes: [],
  reach: [],
  drift: "repair",
  deadlineMs: 30_000,
};
