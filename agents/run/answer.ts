import { messageOf, SluiceError } from "@sluice/proto/base/errors";

/** 0 done, 1 fault, 2 refused (what was asked can't be done), 3 drifted */
export type ExitCode = 0 | 1 | 2 | 3;

/** What a command says: text for people, a value for programs. */
export interface Answer {
  code: ExitCode;
  text: string;
  value: unknown;
}

export interface Output {
  out(text: string): void;
  err(text: string): void;
}

/** Runs a command and prints its answer, or its error, in the form asked for. Returns the exit code. */
export async function answerWith(
  { json }: { json?: boolean | undefined },
  output: Output,
  command: () => Promise<Answer>,
): Promise<ExitCode> {
  try {
    const { code, text, value } = await command();
    output.out(json ? JSON.stringify(value) : text);
    return code;
  } catch (error) {
    const code = isRefusal(error) ? 2 : 1;
    const cure = error instanceof SluiceError ? error.cure : undefined;
    if (json) output.out(JSON.stringify({ ok: false, reason: messageOf(error), ...(cure && { cure }) }));
    output.err(`sluice-agent: ${messageOf(error)}${cure === undefined ? "" : `\n  ${cure}`}`);
    return code;
  }
}

export function done(message: string): Answer {
  return { code: 0, text: message, value: { ok: true, message } };
}

function isRefusal(error: unknown): boolean {
  return error instanceof SluiceError && ["REFUSED", "INVALID", "CONFLICT", "NOT_FOUND"].includes(error.code);
}
