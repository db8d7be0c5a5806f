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
  test: {
    projects: [project("unit", 60_000), project("int", 60_000), project("e2e", 180_000)],
  },
});
