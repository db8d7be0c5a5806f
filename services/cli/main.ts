#!/usr/bin/env node
import { enableCompileCache } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";

// Compiling is most of what a short command does: 0.55 s without the cache, 0.28 s with it. What can't be written isn't.
enableCompileCache(join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "sluice"));
const { run } = await import("./run.ts");
await run();
