import { setTimeout as sleep } from "node:timers/promises";
import { SluiceError } from "@sluice/proto/base/errors";
import { createFeed, type Feed } from "../../exec/child.ts";
import type { Namespace } from "../../exec/namespace.ts";
import { type Script, ScriptRefused } from "../driver.ts";
import { blameRule } from "./blame.ts";
import { isRuleLine, parseRefusal } from "./refusal.ts";
import type { IptablesBackend } from "./tools.ts";

const BUSY_TRIES = 5;
const BUSY_FIRST_WAIT_MS = 100;
/** without a word of what is wrong: somebody was at the rules, and nothing was written */
const BUSY_CODE = 4;

/**
 * The restore tool reads on from the same stdin for ever: a whole table's text, COMMIT, a comment that `-v` makes it
 * echo. It ends itself on a refusal; that commit has then changed nothing.
 */
export function createRestoreFeed(at: Namespace, command: string): Feed {
  return createFeed(at, {
    command,
    args: ["--noflush", "-v", "-w", "5"],
    mark: (n) => `# sluice ${n}\n`,
    isMark: (line, n) => line === `# sluice ${n}`,
    refusesBy: "ending",
  });
}

export async function writeIptables(
  at: Namespace,
  backend: IptablesBackend,
  feed: Feed,
  script: Script,
): Promise<void> {
  let resent = false;
  for (let attempt = 1; ; attempt++) {
    const result = await feed.send(script.text);
    if (result.ok) return;
    const refusal = parseRefusal(script.text, result.lines, result.linesBefore);
    const isBusy = refusal.locked || (result.code === BUSY_CODE && result.lines.length === 0);
    if (isBusy && attempt < BUSY_TRIES) {
      await sleep(BUSY_FIRST_WAIT_MS * 2 ** (attempt - 1));
    } else if (isBusy) {
      const why = refusal.locked ? "another program holds the xtables lock" : `${script.tool} answers 4`;
      throw unavailable(at, script, why, "find who is at the rules by `fuser /run/xtables.lock`");
    } else if (result.why === "timeout") {
      throw unavailable(
        at,
        script,
        `no answer in time from ${script.tool}`,
        "read the kernel before the next write",
      );
    } else if (result.why === "died") {
      // whether it committed isn't known: whole chains may be sent twice, a jump may not
      if (resent || !isRepeatable(script.text)) {
        throw unavailable(
          at,
          script,
          `${script.tool} ended before it answered`,
          "read the kernel before the next write",
        );
      }
      resent = true;
    } else {
      throw await refused(at, backend, script, refusal);
    }
  }
}

async function refused(
  at: Namespace,
  backend: IptablesBackend,
  script: Script,
  refusal: { line: number | undefined; reason: string },
): Promise<ScriptRefused> {
  const said = refusal.line === undefined ? undefined : script.text.split("\n")[refusal.line];
  if (isRuleLine(said) || at.throwAway !== true)
    return new ScriptRefused(script, refusal.reason, refusal.line);
  const family = script.tool.startsWith("ip6") ? 6 : 4;
  const blamed = await blameRule(at, backend, family, script);
  return new ScriptRefused(script, blamed?.reason ?? refusal.reason, blamed?.line ?? refusal.line);
}

function isRepeatable(text: string): boolean {
  return text.split("\n").every((line) => /^(\*|:SL-|#|-A SL-|COMMIT$|$)/.test(line));
}

function unavailable(at: Namespace, script: Script, why: string, cure: string): SluiceError {
  return new SluiceError("UNAVAILABLE", `${script.what} in ${at.name}: ${why}`, { cure });
}
