import { waitUntil } from "@sluice/infra/process/wait-until";
import { expect, test } from "vitest";
import { startTestAgent } from "./agent.ts";
import { createFakeControl } from "./fake-link.ts";
import { firewall } from "./manifests.ts";
import { createTestServer } from "./server.ts";
import { vandalise } from "./vandal.ts";

const ACTS = 80;
/** beside those of the burst, one every three seconds */
const REPORTS_BURST = 20;

test.each([1, 2])(
  "a vandal that flushes, swaps and deletes at random leaves nothing behind, and floods nobody (%i)",
  async (seed) => {
    await using stack = new AsyncDisposableStack();
    const server = await createTestServer();
    stack.defer(() => server.remove());
    const control = createFakeControl();
    const agent = await startTestAgent(server, control, {
      intervals: { pollMs: 100, contentionLimit: Number.POSITIVE_INFINITY },
    });
    stack.defer(() => agent.close());
    control.issue(firewall(), 1);
    await waitUntil("generation 1", 60_000, () => control.outcomes().length === 1);
    await waitUntil("rest", 60_000, () => agent.status().state === "idle");
    const whole = await server.dump();
    await server.sh("iptables -A FORWARD -p udp --dport 9 -j DROP; ipset create other hash:ip");
    const withForeign = await server.dump();
    expect(withForeign).not.toBe(whole);

    const begunMs = performance.now();
    await vandalise(server, { acts: ACTS, seed, mostPauseMs: 40 });
    await waitUntil("the kernel as before", 30_000, async () => {
      // nft flush table takes what is foreign as well, and that is nobody's to give back
      const dump = await server.dump();
      return dump === withForeign || dump === withoutForeign(withForeign);
    });
    const seconds = (performance.now() - begunMs) / 1000;
    expect(control.drifts().length).toBeGreaterThan(0);
    expect(control.drifts().length).toBeLessThanOrEqual(REPORTS_BURST + 2 * (seconds / 3) + 2);
    expect(control.drifts().some(({ action }) => action === "repaired")).toBe(true);
    await waitUntil("rest", 30_000, () => agent.status().state === "idle");
  },
);

function withoutForeign(dump: string): string {
  return dump.replace(/^-A FORWARD .*\n/m, "");
}
