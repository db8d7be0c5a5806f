import type { Namespace } from "@sluice/agents/exec/namespace";

/** A tool that stays and is fed by hand: what a commit costs without anything around it. */
export interface RawChild extends Disposable {
  /** Resolves when the tool has executed the text. */
  commit(text: string): Promise<void>;
}

/** `iptables-restore -v` echoes comments, and reads line by line: an echoed one says that all before it is done. */
export function startRawRestore(ns: Namespace, restore: string): RawChild {
  const child = ns.spawn(restore, ["--noflush", "-v", "-w", "5"]);
  let marks = 0;
  let waiting: PromiseWithResolvers<void> | undefined;
  child.onLine((_stream, line) => {
    if (line.includes(`raw ${marks} done`)) waiting?.resolve();
  });
  void child.exited.then(() => waiting?.reject(new Error(`${restore} ended`)));
  return {
    commit(text) {
      marks += 1;
      waiting = Promise.withResolvers<void>();
      child.write(`${text}# raw ${marks} done\n`);
      return waiting.promise;
    },
    [Symbol.dispose]() {
      child.kill();
    },
  };
}
