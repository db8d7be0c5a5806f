import { type BootOptions, bootStockKernel, type StockKernel } from "@sluice/infra/stock-kernel/boot";
import { whyNoStockKernel } from "@sluice/infra/stock-kernel/requirements";
import { afterAll, beforeAll, describe } from "vitest";

/** Tests on one stock kernel. Where none can be booted they are skipped, with the reason in their name. */
export function onStockKernel(
  name: string,
  tests: (kernel: () => StockKernel) => void,
  options: BootOptions = {},
): void {
  const obstacle = whyNoStockKernel();
  if (obstacle !== undefined) console.warn(`no stock kernel, so these are skipped: ${name}; ${obstacle}`);
  const title = obstacle === undefined ? name : `${name} (${obstacle})`;
  describe.skipIf(obstacle !== undefined)(title, () => {
    let kernel: StockKernel | undefined;
    beforeAll(async () => {
      kernel = await bootStockKernel(options);
    });
    afterAll(() => kernel?.close());
    tests(() => {
      if (kernel === undefined) throw new Error("the stock kernel isn't up yet");
      return kernel;
    });
  });
}
