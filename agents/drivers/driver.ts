import type { SluiceError } from "@sluice/proto/base/errors";
import type { Difference } from "@sluice/proto/manifest/difference";
import type {
  ManifestChain,
  ManifestDevice,
  ManifestExternal,
  ManifestHook,
  ManifestTakeover,
  Origin,
} from "@sluice/proto/manifest/manifest";
import type { Namespace } from "../exec/namespace.ts";

/**
 * The one interface of the three drivers (ipset, iptables, tc). A fourth would be a new folder and nothing else.
 *
 *   target ──render──▶ steps ──write──▶ kernel ──read──▶ snapshot ──diff──▶ differences
 *
 * 1. `read` sees everything of ours in a namespace, and what is foreign where it touches ours; it writes nothing.
 * 2. `diff` and `render` are pure. What is wanted is given twice: as the target (how it is written) and as the snapshot
 *    that a rehearsal read back from this same kernel (how it is spelled): only spellings are compared.
 * 3. `render` names only what differs: no difference, no script. Objects that are the same keep their counters.
 * 4. `write` sends one script to the tool and returns when the kernel has committed it, or throws ScriptRefused with
 *    the tool's own words and the line at fault.
 * 5. Nothing that isn't ours by name (`SL-…`, `sl-…`, owned devices) is ever changed or removed.
 *
 * Every driver's folder has the same files: read.ts, diff.ts, render.ts, write.ts, snapshot.ts (the type), driver.ts.
 */
export type DriverName = "ipset" | "iptables" | "tc";

/** The members of a live list's set, as of when they are asked for: they change without a manifest, and are many. */
export interface LiveMembers {
  /** `lasting`: without an end; `fewest`: the fewest of those since `beginCount` */
  counts(): { all: number; lasting: number; fewest: number };
  beginCount(): void;
  /** the lines that put all of them into a set */
  addLines(set: string): Iterable<Uint8Array>;
  readonly look: MembersLook;
}

/** A comparison of them with what the kernel lists, member by member. */
export interface MembersLook {
  /**
   * Before the kernel is asked; what the look before has found is forgotten. Resolves when the kernel has every change
   * that came before: those that come from here on are right either way.
   */
  begin(): Promise<void>;
  /** what `ipset list SET` prints, cut anywhere */
  heard(bytes: Uint8Array): void;
  found(): FoundMembers;
  /** the lines that mend it */
  mendLines(set: string): Iterable<Uint8Array>;
  end(): void;
}

export interface FoundMembers {
  missing: number;
  strays: number;
  /** the first of them */
  missingShown: string[];
  straysShown: string[];
  /** whether `mendLines` takes out all strays: not where they are too many */
  areNamed: boolean;
}

/** A set as it shall stand: a policy's, a list's, or the protect and control sets. */
export interface TargetSet {
  name: string;
  type: string;
  family: 4 | 6 | null;
  options: readonly string[];
  /** as `ipset add NAME …` takes them; may carry a lifetime: `192.0.2.1 timeout 600`; of a list: none */
  entries: readonly string[];
  /** `list` members change by deltas and are not rehearsed */
  use: "policy" | "list" | "protect";
  /** of a list; absent in a rehearsal, where no rule depends on them */
  live?: LiveMembers | undefined;
  /** Of a list, in a look for drift: read whole. Absent: what it has lost is added, and nothing else looked at. */
  isReadWhole?: boolean | undefined;
  origin?: Origin | undefined;
}

/** A manifest with what only this server knows filled in. */
export interface Target {
  sets: readonly TargetSet[];
  chains: readonly ManifestChain[];
  hooks: readonly ManifestHook[];
  devices: readonly ManifestDevice[];
  external: ManifestExternal;
  /** what of others is claimed: what stands of it is as wrong as what is extra of ours */
  takeover?: readonly ManifestTakeover[] | undefined;
}

/** What one tool is fed in one commit. */
export interface Script {
  driver: DriverName;
  /** what it does, for progress and errors: `ip4/filter: 3 chains` */
  what: string;
  /** which long-lived child takes it: `ipset`, `iptables-restore`, `ip6tables-restore`, `tc` */
  tool: string;
  text: string;
  /** lines after `text` that are too many to be one, made when they are written */
  more?: (() => Iterable<string | Uint8Array>) | undefined;
  /** lines after `more` */
  end?: string | undefined;
  /** where a line of `text` comes from (index from 0) */
  originOf?: ((line: number) => Origin | undefined) | undefined;
}

/**
 * `build` adds and changes, in order; `remove` takes away what nothing uses any more. An apply runs every driver's
 * build (ipset, iptables, tc), then every driver's remove in reverse.
 */
export interface Steps {
  build: Script[];
  remove: Script[];
  /** what can't be brought about, and why; the scripts do all the rest */
  refused?: SluiceError[] | undefined;
}

export interface Driver<Snapshot> {
  readonly name: DriverName;
  /** what a namespace holds in which nothing was written yet: building there needs no look */
  readonly bare: Snapshot;
  /** `target` says which devices are owned and which foreign objects matter; ours are found by name */
  read(at: Namespace, target: Target): Promise<Snapshot>;
  diff(target: Target, want: Snapshot, have: Snapshot): Difference[];
  /** `want` is absent in the rehearsal that finds it out: then everything of the target is written */
  render(target: Target, want: Snapshot | undefined, have: Snapshot): Steps;
  write(at: Namespace, script: Script): Promise<void>;
  /**
   * Ours whole, without a look at what stands: for when `read` is refused because somebody wrote among ours what this
   * tool can't read. Absent where that can't be.
   */
  rewrite?(target: Target): Script[];
  /** ends the long-lived children of a namespace */
  close(at: Namespace): Promise<void>;
}

/** A tool or the kernel said no to a script. `line` counts from 0 in the script's text. */
export class ScriptRefused extends Error {
  readonly script: Script;
  readonly line: number | undefined;

  constructor(script: Script, reason: string, line?: number) {
    super(reason);
    this.name = "ScriptRefused";
    this.script = script;
    this.line = line;
  }

  /** The line at fault, and the policy line it came from. */
  get text(): string | undefined {
    return this.line === undefined ? undefined : this.script.text.split("\n")[this.line];
  }

  get origin(): Origin | undefined {
    return this.line === undefined ? undefined : this.script.originOf?.(this.line);
  }
}
