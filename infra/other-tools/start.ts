/**
 * Docker's daemon, ufw and fail2ban at work in a network namespace: real ones, out of Debian's packages, that write to
 * nothing of this machine (run.sh).
 */
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { startGuarded } from "../process/guarded-child.ts";

const PACKAGES = "/var/lib/sluice-other-tools";
const SCRIPT = fileURLToPath(new URL("./run.sh", import.meta.url));

/** Why they can't be had here, as a sentence; undefined if they can. */
export function whyNoOtherTools(): string | undefined {
  return existsSync(`${PACKAGES}/complete`)
    ? undefined
    : "Docker, ufw and fail2ban aren't unpacked; do so with: sh infra/bootstrap/other-tools.sh";
}

export interface OtherTools {
  /** `docker up`, `ufw allow 22/tcp`, `fail2ban set sshd banip 203.0.113.9` … Throws with the tool's words. */
  run(line: string): Promise<void>;
  stop(): Promise<void>;
}

export async function startOtherTools(
  namespace: string,
  backend: "nft" | "legacy",
  env: Readonly<Record<string, string>>,
): Promise<OtherTools> {
  // not `ip netns exec`: its /sys has no control groups, which Docker wants to see
  const inside = ["nsenter", `--net=/run/netns/${namespace}`];
  const apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", SCRIPT, PACKAGES, backend];
  const child = startGuarded([...inside, ...apart], { env: { ...process.env, ...env } });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-4000);
  });
  const lines = createInterface({ input: child.stdout });

  async function answer(): Promise<string> {
    const line = once(lines, "line").then(([text]) => String(text));
    const ended = child.exited.then(({ text }) => {
      throw new Error(`the other tools are gone: ${text}: ${said}`);
    });
    return await Promise.race([line, ended]);
  }

  await answer();
  return {
    async run(line) {
      said = "";
      const answered = answer();
      child.stdin.write(`${line}\n`);
      const text = await answered;
      if (text !== "done 0") throw new Error(`${line}: ${text}: ${said}`);
    },
    async stop() {
      child.stdin.end();
      await child.stop("SIGTERM");
    },
  };
}
