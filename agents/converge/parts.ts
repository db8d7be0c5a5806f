import type { Manifest } from "@sluice/proto/manifest/manifest";
import type { ApplyStats, Refusal, TakenOver } from "@sluice/proto/wire/report";
import type { Target } from "../drivers/driver.ts";
import type { Namespace } from "../exec/namespace.ts";
import type { AgentLink } from "../link/link.ts";
import type { Issue } from "../state/schemas.ts";
import type { StateFolder } from "../state/state-folder.ts";
import type { Takeover } from "../takeover/takeover.ts";
import type { HeldFolder } from "../undo/held-folder.ts";
import type { Runner } from "../undo/runner.ts";
import type { AgentMark, UndoFolder } from "../undo/undo-folder.ts";
import type { Dial } from "./dial.ts";
import type { Drivers, Snapshots } from "./kernel.ts";
import type { Preflight } from "./preflight.ts";
import type { ListMembers, Local } from "./target.ts";
import type { RunTests } from "./test.ts";
import type { Warnings } from "./warnings.ts";

/** Everything that a change touches, given by whoever runs the agent. */
export interface ConvergeParts {
  live: Namespace;
  drivers: Drivers;
  /** a throw-away namespace with this server's devices and the foreign objects of the target in it */
  openRoom: OpenRoom;
  /** sends tests as real packets, in rooms of their own */
  runTests: RunTests;
  /** looks for what is foreign and in the way, in the live namespace */
  preflight: Preflight;
  takeover: Takeover;
  warnings: Warnings;
  local(): Local;
  /** this server's addresses that can be dialled from elsewhere */
  ownAddresses(): readonly string[];
  listMembers: ListMembers;
  confirm: AgentLink["confirm"];
  dial: Dial;
  state: StateFolder;
  undo: {
    script: string;
    folder: UndoFolder;
    held: HeldFolder;
    runner: Runner;
    agent: AgentMark;
    tool: UndoTool;
  };
  clock: Clock;
  log: Log;
  /** called where a step begins; what it throws fails the step. For fault tests. */
  at?: ((step: Step) => Promise<void> | void) | undefined;
}

/** The steps of a change, in their order: the agent may die where any of them begins. See converge.ts. */
export const STEPS = [
  "rehearse",
  "test",
  "preflight",
  "path",
  "journal", // nothing of the change is on the disk
  "record", // the undo files are
  "watch", // the journal is
  "deadline", // the runner watches, and isn't told until when
  "apply",
  "commit", // before each commit to the kernel
  "verify",
  "probe",
  "confirm",
  "seal", // control said yes
  "old sets", // the mark is on the disk: no way back
  "give up", // instead of `seal`: some step said no
  "undo", // why is on the disk
  "settle",
  "keep", // what came of it is told
  "close", // it is on the disk
] as const;
export type Step = (typeof STEPS)[number];
export type UndoTool = (family: 4 | 6, verb?: "restore") => string;
export type Log = (message: string, more?: Readonly<Record<string, unknown>>) => void;

export interface Clock {
  /** monotonic */
  nowMs(): number;
  /** since boot, suspended time included: what deadlines are told in */
  uptimeMs(): number;
  wall(): Date;
}

export interface Room {
  at: Namespace;
  close(): Promise<void>;
}
export type OpenRoom = (target: Target) => Promise<Room>;

/** A manifest that was issued to this server. `text` is its blob, byte for byte. */
export interface Issued {
  issue: Issue;
  manifest: Manifest;
  text: string;
  /** asked for on the server itself: nobody is asked to confirm */
  local: boolean;
  /** a person confirms it, within this time from when control would */
  byHandMs?: number | undefined;
}

/** What the server holds, and how its kernel spells it. */
export interface Standing {
  issue: Issue;
  manifest: Manifest;
  target: Target;
  want: Snapshots;
}

/** What a change starts from. */
export interface Before {
  manifest: Manifest;
  target: Target;
  /** how the kernel spells it; undefined: this kernel refuses it by now, so the change from it can't be rehearsed */
  want: Snapshots | undefined;
}

export type Outcome =
  | { kind: "confirmed"; stats: ApplyStats; standing: Standing; taken?: TakenOver[] | undefined }
  | { kind: "refused"; refusal: Refusal; stats: ApplyStats }
  | { kind: "reverted"; refusal: Refusal; stats: ApplyStats }
  /** nothing was touched; it is to be tried again */
  | { kind: "waits"; reason: string };
export type Settled = Exclude<Outcome, { kind: "waits" }>;

/**
 * Tells control, and keeps what is held now. False: the disk didn't take it, so the journal has to stay, for a restart
 * to find what it says.
 */
export type Settle = (outcome: Settled) => Promise<boolean>;
