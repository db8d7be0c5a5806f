/** Stands in for the agent: it runs, and says nothing to anybody. */
setInterval(() => undefined, 60_000);
