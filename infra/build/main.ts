import { buildAgent } from "./build-agent.ts";

process.stdout.write(`${await buildAgent()}\n`);
