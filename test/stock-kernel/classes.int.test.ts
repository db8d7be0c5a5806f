import { test } from "vitest";
import { expectPacketsIn } from "../compile/classes-cases.ts";
import { openGuestNamespace } from "./guest-namespace.ts";
import { onStockKernel } from "./on-stock-kernel.ts";

const PATIENCE_MS = 240_000;

onStockKernel("what leads packets into classes", (kernel) => {
  test(
    "flower filters do, into a prio's bands, on into an hfsc inside of one; matchall takes the rest",
    async () => {
      const tree = `{
        kind: prio,
        by: flower,
        classes: {
          first: { match: -d 10.77.0.24, leaf: auto },
          office: {
            match: -d 10.77.0.20/30,
            leaf: {
              kind: hfsc,
              classes: { voice: { rate: 1mbit, match: -d 10.77.0.21 }, rest: { share: 1mbit, default: true } }
            }
          },
          rest: { match: all, leaf: fq },
          never: { default: true }
        }
      }`;
      const places = { 21: "20:10", 22: "20:20", 24: "10:", 30: "30:" };
      await expectPacketsIn(() => openGuestNamespace(kernel()), tree, places);
    },
    PATIENCE_MS,
  );
});
