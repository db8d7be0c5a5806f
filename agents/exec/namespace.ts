/**
 * Where commands run: the server's own (live) network namespace, or a rehearsal's. Everything that touches the kernel
 * is given one of these, so the same driver works in both.
 */
export interface Namespace {
  /** `live`, or a rehearsal's name, for messages */
  readonly name: string;
  /** a rehearsal: what is tried in it harms nobody */
  readonly throwAway?: boolean | undefined;
  /** Runs a command to its end, without a shell. Never throws on a non-zero exit; throws when it can't be started. */
  run(command: string, args: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Hands on what stands in `/proc/net/FILE` of this namespace; false: there is no such file. */
  readNet(file: string, heard: (bytes: Uint8Array) => void): Promise<boolean>;
  /** Starts a long-lived command, in this namespace, fed on stdin. */
  spawn(command: string, args: readonly string[]): ChildHandle;
}

export interface RunOptions {
  /** pieces are made as the command takes them */
  input?: string | Uint8Array | Iterable<string | Uint8Array> | undefined;
  /** what it prints on stdout, as it comes; `stdout` is empty then, and nothing is too much */
  onOutput?: ((bytes: Uint8Array) => void) | undefined;
  /** default 30 s; then SIGKILL and `timedOut` */
  timeoutMs?: number | undefined;
}

export interface RunResult {
  code: number | null;
  stdout: string;
  stderr: string;
  timedOut: boolean;
}

export interface ChildHandle {
  readonly pid: number;
  write(text: string): void;
  /** each line of either stream, without its newline */
  onLine(listener: (stream: "stdout" | "stderr", line: string) => void): void;
  /** resolves with the exit code (null when killed) */
  readonly exited: Promise<number | null>;
  kill(): void;
}
