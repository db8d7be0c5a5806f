/** Stands in for the agent: it runs, and says nothing to anybody. */
console.log("here");
setInterval(() => undefined, 60_000);
