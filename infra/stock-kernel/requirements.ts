import { accessSync, constants, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export const KERNEL = "/usr/bin/linux.uml";
const MODULES = "/usr/lib/uml/modules";
const SET_UP = "sh infra/bootstrap/stock-kernel.sh";

/** Why no stock kernel can be booted here, as a sentence; undefined if it can. */
export function whyNoStockKernel(): string | undefined {
  if (process.arch !== "x64") return `user-mode Linux exists for x86-64, and this is ${process.arch}`;
  if (process.getuid?.() !== 0) return "a stock kernel is booted as root, in namespaces of its own";
  const missing = [
    ...(isProgram(KERNEL) && existsSync(MODULES) && readdirSync(MODULES).length > 0
      ? []
      : ["user-mode-linux"]),
    ...(findProgram("busybox") ? [] : ["busybox"]),
  ];
  if (missing.length > 0) return `missing: ${missing.join(", ")}; install with: ${SET_UP}`;
  if (hasAmx() && !findProgram("cc"))
    return "this processor has AMX, which user-mode Linux only bears with a small library, and there is no C compiler to build that; install with: apt-get install gcc libc6-dev";
  return undefined;
}

export function hasAmx(): boolean {
  return /^flags\s*:.*\bamx_tile\b/m.test(readFileSync("/proc/cpuinfo", "utf8"));
}

function findProgram(name: string): string | undefined {
  const folders = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];
  return folders.map((folder) => join(folder, name)).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
