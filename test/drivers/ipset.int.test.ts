import { describe } from "vitest";
import { ipsetCases } from "./ipset-cases.ts";
import { HERE } from "./where.ts";

describe("sets", () => ipsetCases(HERE));
