import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { bootStockKernel } from "@sluice/infra/stock-kernel/boot";
import { expect, test } from "vitest";
import { onStockKernel } from "./on-stock-kernel.ts";

const BOOT = new URL("../../infra/stock-kernel/boot.ts", import.meta.url).pathname;

/** Kernels that run on this machine, by the folder that each has for itself. */
function kernels(): Set<string> {
  const commands = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8");
      } catch {
        return ""; // it ended meanwhile
      }
    });
  return new Set(commands.flatMap((command) => /uml_dir=(\S+?)\/uml\0/.exec(command)?.[1] ?? []));
}

function startedSince(before: ReadonlySet<string>): string[] {
  return [...kernels()].filter((folder) => !before.has(folder));
}

onStockKernel("a stock kernel", (kernel) => {
  test("runs commands of this machine, on its own release, with its own network", async () => {
    const { stdout } = await kernel().run("sh", ["-c", "uname -r; ls /sys/class/net; id -u"]);
    expect(stdout).toBe(`${kernel().release}\nlo\n0\n`);
    expect(kernel().release).not.toBe(readFileSync("/proc/sys/kernel/osrelease", "utf8").trim());
  });

  test("gives a command's code, both of its streams, and every character of a long input", async () => {
    expect(await kernel().run("sh", ["-c", "echo out; echo err >&2; exit 7"])).toEqual({
      code: 7,
      stdout: "out\n",
      stderr: "err\n",
      timedOut: false,
    });
    const input = "ab\u2028c\td\u0001é€😀\\\n".repeat(10_000);
    expect((await kernel().run("cat", [], { input })).stdout).toBe(input);
    expect((await kernel().run("cat", [], { input: "short" })).stdout).toBe("short");
  });

  test("runs commands side by side, ends one that takes too long, and tells one that isn't there", async () => {
    const slow = kernel().run("sleep", ["60"], { timeoutMs: 300 });
    const others = Array.from({ length: 10 }, (_, n) => kernel().run("echo", [String(n)]));
    expect((await Promise.all(others)).map(({ stdout }) => stdout)).toEqual(
      Array.from({ length: 10 }, (_, n) => `${n}\n`),
    );
    expect(await slow).toMatchObject({ code: null, timedOut: true });
    await expect(kernel().run("no-such-tool", [])).rejects.toThrow(/ENOENT/);
  });

  test("writes to memory: nothing of this machine changes, and what was written is gone with it", async () => {
    const path = `/etc/sluice-${process.pid}`;
    await kernel().run("sh", ["-c", `echo written >${path}; rm /etc/hostname`]);
    expect((await kernel().run("cat", [path])).stdout).toBe("written\n");
    expect(existsSync(path)).toBe(false);
    expect(existsSync("/etc/hostname")).toBe(true);
    await using other = await bootStockKernel();
    expect((await other.run("cat", [path])).code).toBe(1);
  });

  test("that is closed leaves no process and no file", async () => {
    const before = kernels();
    const other = await bootStockKernel();
    const [folder = ""] = startedSince(before);
    expect(existsSync(folder)).toBe(true);
    other.start("sleep", ["1000"]);
    await other.close();
    expect(startedSince(before)).toEqual([]);
    expect(existsSync(folder)).toBe(false);
  });

  test("that dies fails whoever waits, with its last words", async () => {
    await using other = await bootStockKernel();
    const waiting = expect(other.run("sleep", ["1000"])).rejects.toThrow(
      /the stock kernel is gone: .*reboot: System halted/,
    );
    const last = other.run("busybox", ["poweroff", "-f"]).catch(() => {});
    await Promise.all([waiting, last]);
    await expect(other.run("true", [])).rejects.toThrow(/the stock kernel is gone/);
  });

  test("goes with the process that booted it, killed or not", async () => {
    const before = kernels();
    const script = `const { bootStockKernel } = await import(${JSON.stringify(BOOT)}); await bootStockKernel(); console.log("up");`;
    const owner = spawn(process.execPath, ["--input-type=module", "-e", script]);
    await once(owner.stdout, "data");
    const [folder = ""] = startedSince(before);
    expect(existsSync(folder)).toBe(true);
    owner.kill("SIGKILL");
    await waitUntil("the kernel's end", 60_000, () => startedSince(before).length === 0);
    await waitUntil("its folder's end", 60_000, () => !existsSync(folder));
  });
});
