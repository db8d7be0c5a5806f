import type { Origin } from "@sluice/proto/manifest/manifest";

/** Which file each policy's text came from, where it isn't stored yet. */
export type Files = ReadonlyMap<string, string>;

const NO_FILES: Files = new Map();

/** `door.yaml:7` for a file that was given, `door@3:7` for a stored revision. */
export function placeText({ policy, revision, line }: Origin, files: Files = NO_FILES): string {
  const document = files.get(policy) ?? (revision === 0 ? policy : `${policy}@${revision}`);
  return line === undefined ? document : `${document}:${line}`;
}

/** In brackets behind what it is the place of; nothing for what is Sluice's own. */
export function originText(origin: Origin | undefined, files?: Files): string {
  return origin === undefined ? "" : ` (${placeText(origin, files)})`;
}
