import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/**
 * Two files at a time for each core: a test mostly waits, for a kernel, a broker or a deadline. (vitest's own choice is
 * one file fewer than cores: on two cores one after the other.)
 */
const maxWorkers = 2 * availableParallelism();

function project(name: string, timeoutMs: number) {
  return {
    test: {
      name,
      include: [`**/*.${name}.test.ts`],
      testTimeout: timeoutMs,
      hookTimeout: 120_000,
    },
  };
}

export default defineConfig({
  test: {
    maxWorkers,
    projects: [project("unit", 60_000), project("int", 120_000), project("e2e", 180_000)],
  },
});
