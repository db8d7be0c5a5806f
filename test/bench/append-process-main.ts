import { connect } from "@sluice/db/connect";
import { Appender } from "@sluice/db/log/append";
import { appendCaller } from "./append-load.ts";
import { serveLoads } from "./load-process.ts";

/** Appends to a log, as one of several control processes: `append-process-main.ts URL SCHEMA`. */
const [url = "", schema = ""] = process.argv.slice(2);
await using database = await connect(url, { schema });
await using appender = new Appender(database);
await serveLoads(() => appendCaller(appender));
