import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { SluiceError } from "@sluice/proto/base/errors";
import { z } from "zod";

/** Where control is and who asks. */
export const context = z.strictObject({ url: z.string(), token: z.string() });
export type Context = z.infer<typeof context>;

export interface ContextSources {
  /** from flags */
  url?: string | undefined;
  token?: string | undefined;
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
}

/**
 * Flags win over SLUICE_URL and SLUICE_TOKEN, these over `.sluice/context.json` here or in a folder above (a running
 * lab writes one), that over `~/.config/sluice/context.json`.
 */
export function findContext(sources: ContextSources): Context {
  const stored = readStored(sources);
  const url = sources.url ?? sources.env.SLUICE_URL ?? stored?.url;
  const token = sources.token ?? sources.env.SLUICE_TOKEN ?? stored?.token;
  if (url === undefined || token === undefined) {
    throw new SluiceError("INVALID", "no control service is known here", {
      cure: "start a lab (npm run lab), or set SLUICE_URL and SLUICE_TOKEN, or give --control and --token",
    });
  }
  return { url: mustBeUrl(url), token };
}

function mustBeUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "http:" || url?.protocol === "https:") return text;
  throw new SluiceError("INVALID", `'${text}' is no address of control`, {
    cure: "such as http://127.0.0.1:7070",
  });
}

function readStored({ cwd, env }: ContextSources): Context | undefined {
  const candidates = [...foldersUp(cwd).map((folder) => join(folder, ".sluice", "context.json"))];
  candidates.push(join(env.HOME ?? homedir(), ".config", "sluice", "context.json"));
  const path = candidates.find((candidate) => existsSync(candidate));
  if (path === undefined) return undefined;
  try {
    return context.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (cause) {
    throw new SluiceError("INVALID", `${path} can't be read as a context`, {
      cure: "it holds {url, token}: write it again or remove it",
      cause,
    });
  }
}

function foldersUp(folder: string): string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [folder, ...foldersUp(parent)];
}
