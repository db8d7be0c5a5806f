import type { ChildHandle, RunOptions } from "@sluice/agents/exec/namespace";
import type { RehearsalNamespace } from "@sluice/agents/exec/rehearsal-namespace";
import type { StockKernel } from "@sluice/infra/stock-kernel/boot";
import type { GuestProcess } from "@sluice/infra/stock-kernel/guest-processes";

let opened = 0;

/** A network namespace of the stock kernel: what drivers and probes take for one of this machine. */
export async function openGuestNamespace(kernel: StockKernel): Promise<RehearsalNamespace> {
  const holder = kernel.start("unshare", ["--net", "cat"]);
  holder.write("\n"); // `cat` answers once `unshare` has made the namespace
  await new Promise<void>((resolve, reject) => {
    holder.onText(() => resolve());
    holder.exited.then((code) => reject(new Error(`no namespace in the stock kernel: ${code}`)), reject);
  });
  const pid = await holder.started;
  const children = new Set<GuestProcess>([holder]);
  const enter = (command: string, args: readonly string[]) => [`--net=/proc/${pid}/ns/net`, command, ...args];

  async function close(): Promise<void> {
    for (const child of children) child.kill();
    await Promise.all([...children].map((child) => child.exited));
  }

  opened += 1;
  const namespace: RehearsalNamespace = {
    name: `stock-kernel-${opened}`,
    throwAway: true,
    pid,
    async run(command, args, { input, onOutput, timeoutMs } = {}) {
      const fed = { input: textOf(input), timeoutMs };
      const result = await kernel.run("nsenter", enter(command, args), fed);
      onOutput?.(Buffer.from(result.stdout));
      return onOutput === undefined ? result : { ...result, stdout: "" };
    },
    async readNet(file, heard) {
      const { code, stdout } = await kernel.run("nsenter", enter("cat", [`/proc/net/${file}`]), {});
      heard(Buffer.from(stdout));
      return code === 0;
    },
    spawn(command, args) {
      const child = kernel.start("nsenter", enter(command, args));
      children.add(child);
      child.exited.then(() => children.delete(child));
      return handleOf(child);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
  const up = await namespace.run("ip", ["link", "set", "lo", "up"]);
  if (up.code !== 0) throw new Error(`lo in the stock kernel: ${up.stderr}`);
  return namespace;
}

function textOf(input: RunOptions["input"]): string | undefined {
  if (input === undefined || typeof input === "string") return input;
  const pieces = input instanceof Uint8Array ? [input] : input;
  return Array.from(pieces, (piece) => Buffer.from(piece).toString()).join("");
}

function handleOf(child: GuestProcess): ChildHandle {
  const listeners: ((stream: "stdout" | "stderr", line: string) => void)[] = [];
  const rest = { stdout: "", stderr: "" };
  let pid = 0; // until the guest has told it
  child.started.then(
    (started) => {
      pid = started;
    },
    () => {}, // `exited` rejects with the reason
  );
  child.onText((stream, text) => {
    const lines = (rest[stream] + text).split("\n");
    rest[stream] = lines.pop() ?? "";
    for (const line of lines) for (const listener of listeners) listener(stream, line);
  });
  return {
    get pid() {
      return pid;
    },
    write: (text) => child.write(text),
    onLine: (listener) => void listeners.push(listener),
    exited: child.exited,
    kill: () => child.kill(),
  };
}
