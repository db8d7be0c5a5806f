import { type Station, startStation } from "../packets/station.ts";

/** More than a download at 200 kbit takes in a minute. */
const PAGE_BYTES = 4 * 1024 * 1024;

/** What a server of the lab offers: something on tcp/22 that answers as an ssh server would, and a page on tcp/80 and tcp/9000. */
export async function openServerServices(namespace: string): Promise<Station> {
  const station = await startStation(namespace);
  await station.listen(22, { kind: "echo" });
  for (const port of [80, 9000]) await station.listen(port, { kind: "http", bytes: PAGE_BYTES });
  return station;
}
