import { messageOf } from "@sluice/proto/base/errors";
import type { Explanation } from "@sluice/proto/manifest/test-result";
import type { Ask } from "@sluice/proto/wire/envelope";
import type { Present } from "@sluice/proto/wire/present";
import type { AskReply, Pulse } from "@sluice/proto/wire/report";
import type { AgentLink } from "../link/link.ts";
import type { ChangeDuty } from "./change-duty.ts";
import type { DriftDuty } from "./drift-duty.ts";
import type { HitDuty } from "./hit-duty.ts";
import type { LocalReply, LocalRequest, Status } from "./local-protocol.ts";
import type { Pause } from "./pause.ts";

export interface QuestionOptions {
  link: Pick<AgentLink, "report">;
  drift: DriftDuty;
  hits: Pick<HitDuty, "count">;
  changes: ChangeDuty;
  pause: Pause;
  explain(packet: Extract<Ask, { what: "explain" }>["packet"]): Promise<Explanation>;
  present(): Promise<Present>;
  self: { pulse(): Pulse; status(): Status };
  /** resolves when what is under way has ended */
  rest(): Promise<void>;
  stop(): void;
}

/** Answers control's questions, and those of the commands on the server itself. */
export function createQuestions(options: QuestionOptions) {
  const { link, drift, hits, changes, pause, self } = options;

  async function onAsk(ask: Ask): Promise<AskReply> {
    if (ask.what === "hits") await hits.count();
    if (ask.what === "present") return await answerPresent();
    if (ask.what !== "drift") {
      const explanation = ask.what === "explain" ? await options.explain(ask.packet) : undefined;
      const differences = [...drift.differences()];
      return { ok: true, status: self.pulse(), differences, repaired: false, explanation };
    }
    const paused = pause.now();
    if (ask.repair && paused !== undefined)
      return { ok: false, reason: `paused on the server: ${paused.reason}` };
    const checked = await drift.lookNow({ repair: ask.repair, tell: true });
    const differences = checked?.differences ?? [...drift.differences()];
    return { ok: true, status: self.pulse(), differences, repaired: (checked?.writes ?? 0) > 0 };
  }

  async function answerPresent(): Promise<AskReply> {
    try {
      const present = await options.present();
      const differences = [...drift.differences()];
      return { ok: true, status: self.pulse(), differences, repaired: false, present };
    } catch (error) {
      return { ok: false, reason: messageOf(error) };
    }
  }

  async function onLocal(request: LocalRequest): Promise<LocalReply> {
    switch (request.what) {
      case "status":
        return { what: "status", status: self.status() };
      case "diff": {
        const checked = await drift.lookNow({ repair: false, tell: false });
        return { what: "diff", differences: checked?.differences ?? [...drift.differences()] };
      }
      case "pause": {
        if (changes.isChanging()) return refused("a change is under way: it confirms or undoes itself first");
        const { until, reason, by } = request;
        await pause.begin({ until, reason, by });
        // a look or the beginning of a change may not have seen it: whoever hears of the pause has the server alone
        await options.rest();
        await link.report({ kind: "paused", until, reason, by });
        return done(`paused until ${until}`);
      }
      case "resume":
        if (pause.now() === undefined) return done("it wasn't paused");
        await pause.end();
        return done("resumed");
      case "revert": {
        if (pause.now() !== undefined) return refused("paused: resume first");
        const reverted = await changes.revert(request.by);
        return reverted.done ? done(reverted.message) : refused(reverted.message);
      }
      case "stop":
        options.stop();
        return done("the agent stops; what it holds stays");
    }
  }
  return { onAsk, onLocal };
}

function done(message: string): LocalReply {
  return { what: "done", message };
}

function refused(reason: string): LocalReply {
  return { what: "refused", reason };
}
