import { keyId } from "@sluice/proto/base/sign";
import type { SluiceEvent } from "@sluice/proto/events/event";

/** An event in one line for people. */
export function summaryOf(event: SluiceEvent): string {
  switch (event.type) {
    case "PolicyRevised":
      return `${event.data.policy} got revision ${event.data.revision}`;
    case "PolicyRetired":
      return `${event.data.policy} was retired`;
    case "ServerAdded":
      return `${event.data.server} was added`;
    case "ServerEnrolled":
      return `${event.data.server} enrolled`;
    case "ServerUninstalled":
      return `${event.data.server} was uninstalled: nothing of Sluice is left in its kernel`;
    case "ServerLabelled":
      return `${event.data.server} was labelled${labelChange(event.data)}`;
    case "AssignmentDecided": {
      const { server, generation, assigned, cause } = event.data;
      const what = assigned.map(({ policy, revision }) => `${policy}@${revision}`).join(", ") || "nothing";
      return `${server} is to hold ${what} (generation ${generation}, ${cause})`;
    }
    case "ServerProven":
      return `${event.data.server} has applied generation ${event.data.generation} and waits for a person until ${event.data.until}`;
    case "ServerConfirmed":
      return `${event.data.server} holds generation ${event.data.generation}${takenBy(event.data)}`;
    case "ServerRefused":
      return `${event.data.server} refused generation ${event.data.generation}: ${event.data.refusal.reason}`;
    case "ServerReverted":
      return `${event.data.server} undid generation ${event.data.generation}: ${event.data.refusal.reason}`;
    case "DriftDetected": {
      const { server, differences, action, by } = event.data;
      const objects = differences.map(({ kind, object }) => `${object} ${kind}`).join(", ");
      const who = by?.tool === undefined ? "" : ` by ${by.tool}`;
      return `${server} drifted${who} (${action}): ${objects}`;
    }
    case "DriftRepairAsked":
      return `${event.data.server} was asked to repair its drift`;
    case "MessageRejected":
      return `${event.data.server} rejected ${event.data.what}: ${event.data.reason}`;
    case "ServerPaused":
      return `${event.data.server} was paused until ${event.data.until}`;
    case "ServerResumed":
      return `${event.data.server} was resumed`;
    case "PlanRequested": {
      const { plan, policy, revision, servers } = event.data;
      return `${plan}: ${policy}${revision === undefined ? "" : `@${revision}`} on ${servers.join(", ")}`;
    }
    case "PlanAnswered":
      return `${event.data.plan}: ${event.data.server} ${event.data.result}`;
    case "PlanFinished":
      return `${event.data.plan} finished ${event.data.result}`;
    case "RolloutStarted": {
      const { rollout, kind, policy, revision, waves } = event.data;
      const what = revision === 0 ? `${policy} taken off` : `${policy}@${revision}`;
      return `${rollout}: ${kind} of ${what}, ${counted(waves.flat().length, "server")} in ${counted(waves.length, "wave")}`;
    }
    case "RolloutConfirmed":
      return `${event.data.rollout} was confirmed by hand on ${event.data.servers.join(", ")}`;
    case "WaveStarted":
      return `${event.data.rollout}: wave ${event.data.wave} on ${event.data.servers.join(", ")}`;
    case "RolloutCompleted":
      return `${event.data.rollout} completed`;
    case "RolloutHalted":
      return `${event.data.rollout} halted: ${event.data.reason}`;
    case "ListCreated":
      return `list ${event.data.list} was created`;
    case "ListChanged": {
      const { list, rev, add, del } = event.data;
      return `list ${list} rev ${rev}: ${entries(
        "+",
        add.map(({ entry }) => entry),
      )}${entries("-", del)}`.trim();
    }
    case "ListRetired":
      return `list ${event.data.list} was retired`;
    case "FeedReaderAdded": {
      const { reader, from, only = "every" } = event.data;
      return `${reader} may read the feed, ${only} event from ${from} on`;
    }
    case "FeedReaderRemoved":
      return `${event.data.reader} may no longer read the feed`;
    case "FleetFrozen":
      return "the fleet was frozen";
    case "FleetThawed":
      return "the fleet was thawed";
    case "EpochOpened":
      return `epoch ${event.data.epoch} was opened`;
    case "ActorErased":
      return `a person was erased from ${counted(event.data.events, "event")}`;
    case "SigningKeyChanged":
      return `key ${keyId(event.data.to)} signs the log from here on, after ${keyId(event.data.from)}`;
    case "LogArchived": {
      const { from, to, kept, file } = event.data;
      return `events ${from} to ${to} were archived, and ${counted(kept, "event")} up to there kept; sha256 of the file: ${file}`;
    }
  }
}

function takenBy({ taken = [] }: { taken?: readonly { what: string }[] | undefined }): string {
  return taken.length === 0 ? "" : `, and took over ${taken.map(({ what }) => what).join(", ")}`;
}

function labelChange({ set, unset }: { set: Record<string, string>; unset: readonly string[] }): string {
  const put = Object.entries(set).map(([key, value]) => ` ${key}=${value}`);
  return [...put, ...unset.map((key) => ` ${key}-`)].join("");
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function entries(sign: string, all: readonly string[]): string {
  const shown = all.slice(0, 3).map((entry) => `${sign}${entry} `);
  return shown.join("") + (all.length > 3 ? `${sign}${all.length - 3} more ` : "");
}
