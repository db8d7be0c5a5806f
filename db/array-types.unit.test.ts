import fc from "fast-check";
import { expect, test } from "vitest";
import { arrayTypes } from "./array-types.ts";

const AWKWARD = fc.string({ unit: fc.constantFrom('"', "\\", ",", "{", "}", "\n", " ", "N", "ö") });

test("any texts come back as they were sent, quotes, backslashes, commas, line ends and nothing at all too", () => {
  const { serialize, parse } = arrayTypes.texts;
  fc.assert(
    fc.property(fc.array(fc.option(AWKWARD)), (texts) => {
      expect(parse(serialize(texts))).toEqual(texts);
    }),
  );
});

test("numbers come back as numbers, and one that no number holds exactly isn't rounded", () => {
  expect(arrayTypes.bigints.parse("{1,NULL,9007199254740991}")).toEqual([1, null, 9007199254740991]);
  expect(arrayTypes.integers.serialize([])).toBe("{}");
  expect(() => arrayTypes.bigints.parse("{9007199254740993}")).toThrow("exactly");
});
