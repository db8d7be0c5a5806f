import { isDeepStrictEqual } from "node:util";
import { messageOf } from "@sluice/proto/base/errors";
import type { ForeignFacts } from "@sluice/proto/manifest/facts";
import type { Manifest } from "@sluice/proto/manifest/manifest";
import type { ConvergeParts } from "../converge/parts.ts";
import { recover } from "../converge/recover.ts";
import { stand } from "../converge/stand.ts";
import { targetOf } from "../converge/target.ts";
import { createAuditTrail } from "../drift/audit-trail.ts";
import { keepRunning } from "../drift/monitors.ts";
import { startWatch, type Watch } from "../drift/watch.ts";
import type { DriverName } from "../drivers/driver.ts";
import type { AgentLink, AgentLinkHandlers } from "../link/link.ts";
import { recordFile } from "../state/record-file.ts";
import { createAgentParts, type Known, type Surroundings } from "./agent-parts.ts";
import { createChangeDuty } from "./change-duty.ts";
import { createDeferredLink, waitingReports } from "./deferred-link.ts";
import { createDriftDuty } from "./drift-duty.ts";
import { type HitDuty, openHitDuty } from "./hit-duty.ts";
import { openHolding } from "./holding.ts";
import { DEFAULT_INTERVALS, type Intervals } from "./intervals.ts";
import { createListDuty } from "./list-duty.ts";
import type { Status } from "./local-protocol.ts";
import { listenLocally } from "./local-socket.ts";
import { openPause } from "./pause.ts";
import { createPlanDuty } from "./plan-duty.ts";
import { createQuestions } from "./questions.ts";
import { createSelf } from "./self.ts";
import { settleRecovered } from "./settle-recovered.ts";
import { createStandDuty } from "./stand-duty.ts";
import { createTurns } from "./turns.ts";

/**
 * The agent, put together.
 *
 *   start:  undo what was under way ▸ rehearse what is held ▸ look, mend ▸ watch ▸ serve
 *   beside: connect to NATS, as long as it takes; then facts, lists, the newest envelope
 *
 * 1. Everything that writes to the kernel takes its turn (turns.ts): changes, looks, plans. List deltas don't wait.
 * 2. It works without NATS from the first moment: what was confirmed is kept, and mended.
 * 3. Stopping it removes nothing.
 */
export interface AgentOptions extends Surroundings {
  server: string;
  connect(handlers: AgentLinkHandlers): Promise<AgentLink>;
  /** what is known of this server at start */
  known: Known;
  /** finds it out again, when its devices or addresses change */
  look(): Promise<Known>;
  intervals?: Partial<Intervals> | undefined;
  /** where an audit daemon writes */
  auditLog?: string | undefined;
}

export interface Agent {
  status(): Status;
  /** resolves when `stop` was asked for on the server itself */
  readonly stopAsked: Promise<void>;
  close(): Promise<void>;
}

const AUDIT_LOG = "/var/log/audit/audit.log";
const SETTLE_MS = 300;

export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { state, server, log } = options;
  const intervals = { ...DEFAULT_INTERVALS, ...options.intervals };
  const turns = createTurns();
  const stop = Promise.withResolvers<void>();
  let { known } = options;
  let closed: Promise<void> | undefined;
  let hits: HitDuty | undefined;
  let watch: Watch | undefined;

  const base = createAgentParts(
    { ...options, onForeign: heardOfForeign, onRulesWritten: (script) => hits?.wrote(script) },
    () => known,
  );
  const recovered = await recover(base);
  const targetFor = (manifest: Manifest) => targetOf(manifest, known.local, () => undefined);
  const holding = await openHolding(state, targetFor, base.clock.wall, log);
  const link = createDeferredLink(server, recordFile(`${state.path}/reports.json`, waitingReports));
  const {
    store: lists,
    gate,
    cutter,
    fill: listFill,
  } = createListDuty(base, {
    link,
    target: () => holding.standing()?.target,
    protect: () => known.local.protect,
  });
  hits = await openHitDuty({
    ...{ turns, live: base.live, backend: options.backend, file: state.hits, standing: holding.standing },
    holdsFromBefore: holding.applied() !== undefined,
    send: link.hits,
    connected: link.connected,
    clock: base.clock,
    everyMs: intervals.hitsMs,
    log,
  });
  const counting = hits;
  const parts = { ...base, confirm: link.confirm, listMembers: lists.members } satisfies ConvergeParts;
  const pause = await openPause({ file: state.paused, onEnd: onResumed, log });
  const isPaused = () => pause.now() !== undefined;
  const drift = createDriftDuty({
    parts,
    turns,
    isPaused,
    isFilled: () => stands.isFilled(),
    lists: { members: lists.members, isKnown: lists.isKnown, written: gate.written, saw: gate.saw },
    trail: createAuditTrail({ path: options.auditLog ?? AUDIT_LOG, isOwnChild: parts.live.isOwnChild }),
    polled: polledDrivers(options.backend),
    standing: holding.standing,
    report: link.report,
    onWritten: () => watch?.wrote(),
    lastHeard: (sinceMs) => watch?.lastHeard(sinceMs),
    contention: { limit: intervals.contentionLimit, windowMs: intervals.contentionWindowMs },
  });
  const stands = createStandDuty({ parts, holding, lists, drift, isPaused, inBackground });
  const changes = createChangeDuty({
    parts,
    link,
    turns,
    holding,
    isPaused,
    useLists: lists.use,
    holdLists: gate.hold,
    keepHeld: stands.keepHeld,
    beforeChange: counting.read,
    onChanged({ isUndone }) {
      inBackground(counting.count());
      sendPulse();
      watch?.wrote();
      // what the undo could not bring back at once is mended, whatever the manifest says of drift
      if (isUndone) inBackground(drift.lookNow({ repair: !isPaused(), tell: false }));
      else drift.look({ why: "full" });
      if (!isUndone) cutter.wake();
    },
  });
  const self = createSelf({
    server,
    holding,
    lists,
    listFill,
    pause,
    drift,
    changes,
    link,
    now: parts.clock.wall,
  });
  const questions = createQuestions({
    link,
    drift,
    hits: counting,
    changes,
    pause,
    present: () => turns.take(() => base.present(holding.standing()?.target)),
    self,
    explain: (packet) => turns.take(() => parts.explain(packet, holding.standing()?.target)),
    rest: () => turns.take(async () => undefined),
    stop: stop.resolve,
  });
  const onPlan = createPlanDuty({ parts, link, turns, before: holding.before });

  if (recovered !== undefined) await settleRecovered(recovered, { ...base, holding, link });
  const connecting = connect();
  // what control says of lists meanwhile is written once it is known what stands: unwritten, it would look like drift
  await turns.take(() => gate.hold(stands.standAgain));
  watch = startWatch({
    at: parts.live,
    onLook: drift.look,
    pollMs: intervals.pollMs,
    fullCheckMs: intervals.fullCheckMs,
    random: Math.random,
    nowMs: parts.clock.nowMs,
    log,
  });
  let settling: NodeJS.Timeout | undefined;
  const stopDevices = keepRunning({ at: parts.live, log }, "ip", ["monitor", "link", "address"], () => {
    settling ??= setTimeout(() => {
      settling = undefined;
      inTurn("this server could not be looked at", lookAround);
    }, SETTLE_MS);
  });
  const pulsing = setInterval(sendPulse, intervals.pulseMs);
  const socket = await listenLocally(state.socket, questions.onLocal);

  /** Devices or addresses may have changed: facts for control, and what nothing may cut off. */
  async function lookAround(): Promise<void> {
    const before = known;
    known = await options.look();
    if (!isDeepStrictEqual(before.facts, known.facts))
      await link.report({ kind: "facts", facts: known.facts });
    if (isDeepStrictEqual(before.local, known.local)) {
      drift.look({ why: "full" });
      return;
    }
    const applied = holding.applied();
    const stood = applied === undefined ? undefined : await stand(parts, applied);
    if (stood?.ok) holding.setStanding(stood.standing);
    await stands.keepHeld();
    await drift.lookHere({ repair: !isPaused(), tell: false });
  }

  /** Another tool came or went: what is decided by it, control decides anew. */
  function heardOfForeign(foreign: ForeignFacts): void {
    if (isDeepStrictEqual(known.facts.foreign, foreign)) return;
    known = { ...known, facts: { ...known.facts, foreign } };
    inBackground(link.report({ kind: "facts", facts: known.facts }));
  }

  async function connect(): Promise<void> {
    // the first messages may be heard before the link is handed over
    const attached = Promise.withResolvers<void>();
    const made = await options.connect({
      onDesired: () => void attached.promise.then(changes.wake),
      onPlan: (plan) => void attached.promise.then(() => onPlan(plan)),
      onAsk: (ask) => attached.promise.then(() => questions.onAsk(ask)),
      onControlPulse: (pulse) => lists.heard(pulse.epoch, pulse.lists),
    });
    if (closed !== undefined) return await made.close();
    await link.attach(made);
    attached.resolve();
    log("connected", { server });
    await link.report({ kind: "facts", facts: known.facts });
    sendPulse();
    // in turn: a change under way is told of lists that what is held doesn't use
    await turns.take(stands.useLists);
    // what each list holds is known now
    void stands.firstLook.then(() => drift.look({ why: "full" }));
    inBackground(stands.firstLook.then(counting.count));
    changes.wake();
  }

  function onResumed(): void {
    log("the pause is over");
    inBackground(link.report({ kind: "resumed" }));
    sendPulse();
    if (stands.isFilled()) drift.look({ why: "full" });
    else inBackground(stands.fillAgain());
    changes.wake();
  }

  function sendPulse(): void {
    link.pulse(self.pulse());
  }

  function inTurn(failure: string, work: () => Promise<void>): void {
    inBackground(turns.take(work), failure);
  }

  function inBackground(work: Promise<unknown>, failure = "a task failed"): void {
    work.catch((error) => log(failure, { reason: messageOf(error) }));
  }

  async function close(): Promise<void> {
    stands.close();
    clearInterval(pulsing);
    clearTimeout(settling);
    await counting.close();
    changes.close();
    pause.close();
    await watch?.close();
    await stopDevices();
    await turns.close();
    await socket.close();
    await drift.close();
    await lists.close();
    await cutter.close();
    await link.close();
    await parts.setHeaders.close();
    await Promise.all(parts.drivers.map((driver) => driver.close(parts.live)));
  }

  inBackground(connecting, "NATS could not be used");
  return {
    status: self.status,
    stopAsked: stop.promise,
    close() {
      closed ??= close();
      return closed;
    },
  };
}

/** Legacy tables tell nobody of their changes, sets never do. */
function polledDrivers(backend: Surroundings["backend"]): DriverName[] {
  return backend === "legacy" ? ["ipset", "iptables"] : ["ipset"];
}
