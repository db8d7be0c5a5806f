import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/** As many files at a time as cores: half of a test is waiting. (vitest's own choice is one less: on two cores one.) */
const maxWorkers = availableParallelism();

function project(name: string, timeoutMs: number, more: { isolate?: boolean } = {}) {
  return {
    test: {
      name,
      include: [`**/*.${name}.test.ts`],
      testTimeout: timeoutMs,
      hookTimeout: 300_000,
      ...more,
    },
  };
}

export default defineConfig({
  test: {
    maxWorkers,
    projects: [
      // memory alone: nothing that one file could leave to the next, so what is loaded (and compiled) stays
      project("unit", 60_000, { isolate: false }),
      project("int", 240_000),
      project("e2e", 300_000),
    ],
  },
});
