import { bundle, CHECKOUT } from "./bundle.ts";

/**
 * Bundles `sluice` into one file of this checkout, for who runs it a hundred times; returns its path. The same code as
 * services/cli/main.ts, loaded in a fraction of the time. What it looks for beside itself it finds in the checkout.
 */
export async function buildCli(): Promise<string> {
  return await bundle({
    name: "sluice.mjs",
    entry: "services/cli/main.ts",
    madeBy: import.meta.filename,
    options: {
      define: { "import.meta.url": JSON.stringify(new URL("services/cli/main.ts", CHECKOUT).href) },
    },
  });
}
