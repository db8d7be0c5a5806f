import type { DesiredEnvelope } from "@sluice/proto/wire/envelope";
import { describe, expect, test } from "vitest";
import { decideTake, type Known, parseManifest } from "./take.ts";

const DIGEST = "a".repeat(64);
const OTHER = "b".repeat(64);

function envelope(epoch: number, generation: number, digest = DIGEST, server = "web-1"): DesiredEnvelope {
  return { v: 1, server, epoch, generation, manifest: { digest, bytes: 2, chunks: 1 } };
}

function given(
  applied: [number, number, string?] | undefined,
  refused: [number, number, string?][] = [],
): Known {
  const issue = ([epoch, generation, digest = DIGEST]: [number, number, string?]) => ({
    epoch,
    generation,
    digest,
  });
  return {
    server: "web-1",
    applied: applied && issue(applied),
    refused: refused.map((one) => ({
      ...issue(one),
      result: "refused",
      reason: "no",
      at: "2024-01-01T00:00:00Z",
    })),
  };
}

function when(known: Known, wanted: DesiredEnvelope) {
  return decideTake(known, { ok: true, value: wanted });
}

describe("an agent takes only what is newer than all it has seen", () => {
  test.each([
    ["the first one", given(undefined), envelope(1, 1), "take"],
    ["a newer generation", given([1, 4]), envelope(1, 5), "take"],
    ["a newer epoch with a lower generation", given([1, 9]), envelope(2, 1), "take"],
    ["the one it holds", given([1, 4]), envelope(1, 4), "known"],
    ["one it refused", given([1, 3], [[1, 4]]), envelope(1, 4), "known"],
    ["a refused manifest under a newer generation", given([1, 3], [[1, 4]]), envelope(1, 5), "take"],
    ["a lower generation", given([1, 4]), envelope(1, 3), "rejected"],
    ["a lower epoch with a higher generation", given([2, 1]), envelope(1, 9), "rejected"],
    ["one below a refused one", given([1, 3], [[1, 5]]), envelope(1, 4), "rejected"],
    ["another manifest under its generation", given([1, 4]), envelope(1, 4, OTHER), "rejected"],
    ["another server's", given([1, 4]), envelope(1, 5, DIGEST, "web-2"), "rejected"],
  ])("%s", (_name, known, wanted, kind) => {
    expect(when(known, wanted).kind).toBe(kind);
  });

  test("what isn't signed by a pinned key is rejected with its reason", () => {
    expect(decideTake(given(undefined), { ok: false, reason: "wrong signature" })).toEqual({
      kind: "rejected",
      reason: "wrong signature",
    });
  });
});

describe("a manifest is read only when it is the signed one", () => {
  test("another text is refused", () => {
    expect(parseManifest("{}", DIGEST)).toMatchObject({
      ok: false,
      reason: expect.stringContaining("digest"),
    });
  });
});
