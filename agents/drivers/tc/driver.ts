import type { Driver } from "../driver.ts";
import { diffTc } from "./diff.ts";
import { readTc } from "./read.ts";
import { renderTc } from "./render.ts";
import type { TcSnapshot } from "./snapshot.ts";
import { writeTc } from "./write.ts";

/** Traffic shaping: the qdiscs, classes and filters of owned devices, and the IFBs through which incoming traffic goes. */
export function createTcDriver(): Driver<TcSnapshot> {
  return {
    name: "tc",
    bare: { devices: {} },
    read: readTc,
    diff: diffTc,
    render: renderTc,
    write: writeTc,
    close: async () => {}, // it keeps no children
  };
}
