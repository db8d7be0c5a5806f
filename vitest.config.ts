import { defineConfig } from "vitest/config";

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
  // most of a test's time is waiting: for a deadline, a class's bytes, a boot
  test: {
    maxWorkers: 2,
    projects: [project("unit", 10_000), project("int", 60_000), project("e2e", 180_000)],
  },
});
