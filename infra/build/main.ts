/** Builds what is installed on servers: `npm run build`. */
import { stat } from "node:fs/promises";
import { buildAgent } from "./build-agent.ts";

const file = await buildAgent();
console.log(`${file}: ${Math.round((await stat(file)).size / 1024)} KiB`);
