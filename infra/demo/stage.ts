import type { Lab } from "../lab/start-lab.ts";
import type { Narrator } from "./narrator.ts";

/** What a chapter works with: the running lab, and who tells. */
export interface Stage {
  lab: Lab;
  narrator: Narrator;
}
