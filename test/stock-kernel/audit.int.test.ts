import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAuditTrail } from "@sluice/agents/drift/audit-trail";
import { afterAll, beforeAll, expect, test } from "vitest";
import { onStockKernel } from "./on-stock-kernel.ts";

const PATIENCE_MS = 240_000;

onStockKernel(
  "the kernel's own audit records",
  (kernel) => {
    let folder: string;
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), "sluice-audit-"));
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    test(
      "name the user, the process and the command line of whoever changed a table",
      async () => {
        const change = "ip6tables-legacy -t mangle -A INPUT -p tcp --dport 9 -j DROP & echo $!; wait";
        const { stdout } = await kernel().run("sh", ["-c", `${change}; dmesg`], { timeoutMs: PATIENCE_MS });
        const [pid = ""] = stdout.split("\n");
        const path = join(folder, "audit.log");
        writeFileSync(path, stdout);
        const trail = createAuditTrail({ path, isOwnChild: () => false });
        const asked = { tables: [{ family: 6, table: "mangle" }], sinceMs: 0 } as const;
        expect(await trail.whoChanged(asked)).toEqual({
          pid: Number(pid),
          tool: "ip6tables-legac",
          user: "root",
          command: "ip6tables-legacy -t mangle -A INPUT -p tcp --dport 9 -j DROP",
        });
        expect(await trail.whoChanged({ ...asked, tables: [{ family: 6, table: "nat" }] })).toBeUndefined();
      },
      PATIENCE_MS,
    );
  },
  { parameters: ["audit=1"] },
);
