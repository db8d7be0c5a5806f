import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { signedMessage } from "@sluice/proto/base/sign";
import { uninstalled } from "@sluice/proto/wire/report";
import { z } from "zod";
import { type SavedTally, savedTally } from "../hits/tally.ts";
import { identity } from "../link/identity.ts";
import { type Taken, taken } from "../takeover/taken.ts";
import { recordFile } from "./record-file.ts";
import {
  type Applied,
  applied,
  type Journal,
  journal,
  type PauseRecord,
  pauseRecord,
  type Refused,
  refused,
} from "./schemas.ts";

/** All that an agent keeps on its disk, by name. Everything is written whole or not at all. */
export function stateFolder(path: string) {
  const file = (name: string) => join(path, name);
  return {
    path,
    identity: recordFile(file("identity.json"), identity),
    /** what the server holds, confirmed */
    applied: recordFile<Applied>(file("applied.json"), applied),
    /** what it held before that, for `revert` */
    previous: recordFile<Applied>(file("previous.json"), applied),
    refused: recordFile<Refused>(file("refused.json"), refused),
    paused: recordFile<PauseRecord>(file("paused.json"), pauseRecord),
    journal: recordFile<Journal>(file("journal.json"), journal),
    /** what rules matched */
    hits: recordFile<SavedTally>(file("hits.json"), savedTally),
    /** set by `uninstall`: the agent doesn't start here again until it is enrolled anew */
    uninstalled: recordFile(file("uninstalled.json"), uninstalled),
    /** the newest checkpoint of control's log that was seen, as control signed it */
    witness: recordFile(file("witness.json"), signedMessage),
    /** what was taken over, to be given back */
    taken: recordFile<Taken[]>(file("taken.json"), z.array(taken)),
    /** the undo runner's own folder */
    undo: file("undo"),
    /** what is held, as a boot takes it */
    held: file("held"),
    /** reports that wait for control */
    spool: file("spool"),
    /** members of live lists */
    lists: file("lists"),
    /** where `sluice-agent status` and its siblings ask the running agent */
    socket: file("agent.sock"),
  };
}
export type StateFolder = ReturnType<typeof stateFolder>;

export async function openStateFolder(path: string): Promise<StateFolder> {
  const folder = stateFolder(path);
  await mkdir(folder.path, { recursive: true, mode: 0o700 });
  await mkdir(folder.lists, { recursive: true, mode: 0o700 });
  return folder;
}
