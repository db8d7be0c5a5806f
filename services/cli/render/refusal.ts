import type { Refusal } from "@sluice/proto/wire/report";
import { type Files, placeText } from "./place.ts";
import { testLines } from "./tests.ts";

/**
 * A refusal in lines, each with its place before it, as compilers write: the kernel's words, then what it was given.
 * Control's own refusals (`compile`) are several problems with places of their own, and so are failed tests.
 */
export function refusalLines(refusal: Refusal | undefined, files?: Files): string[] {
  if (refusal === undefined) return ["no reason given"];
  const { step, reason, origin, script, tests } = refusal;
  if (tests !== undefined) return tests.flatMap((test) => testLines(test, files));
  const [first = "", ...more] = reason.trimEnd().split("\n");
  if (origin === undefined) return [first, ...more];
  const place = placeText(origin, files);
  const named = `${origin.policy}:`;
  if (step === "compile" && reason.startsWith(named)) {
    const { line: _, ...whole } = origin;
    const document = placeText(whole, files);
    return [first, ...more].map((line) =>
      line.startsWith(named) ? `${document}:${line.slice(named.length)}` : line,
    );
  }
  return [`${place}: ${first}`, ...more, ...(script === undefined ? [] : [`  in: ${script}`])];
}
