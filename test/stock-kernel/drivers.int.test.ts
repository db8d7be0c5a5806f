import { afterAll, beforeAll, describe, vi } from "vitest";
import { ipsetCases } from "../drivers/ipset-cases.ts";
import { iptablesCases } from "../drivers/iptables-cases.ts";
import type { Where } from "../drivers/where.ts";
import { openGuestNamespace } from "./guest-namespace.ts";
import { onStockKernel } from "./on-stock-kernel.ts";

/** The cases of the other two drivers, as they are, on a kernel of another make. tc's are in files of their own. */
beforeAll(() => vi.setConfig({ testTimeout: 240_000 }));
afterAll(() => vi.resetConfig());

onStockKernel("drivers", (kernel) => {
  const where: Where = {
    open: () => openGuestNamespace(kernel()),
    runs: 1,
    many: 5_000,
    iptables: "iptables-legacy",
  };
  describe("sets", () => ipsetCases(where));
  describe("iptables on legacy", () => iptablesCases("legacy", where));
});
