import { bundle, CHECKOUT } from "./bundle.ts";

/**
 * Bundles control into one file of this checkout, for a lab that is soon gone again; returns its path. It is the same
 * code as services/control/main.ts, but one file is loaded in a seventh of the CPU time of nine hundred (0.3 s, not
 * 2.2), and a lab's control is started, killed and started again. The migrations stay where they are in the checkout.
 */
export async function buildControl(): Promise<string> {
  return await bundle({
    name: "sluice-control.mjs",
    entry: "services/control/main.ts",
    madeBy: import.meta.filename,
    // db/migrate.ts is the one module of control that asks where it is
    options: { define: { "import.meta.url": JSON.stringify(new URL("db/migrate.ts", CHECKOUT).href) } },
  });
}
