import { startStation, type Station } from "../packets/station.ts";

/** What a server of the lab offers: something on tcp/22 that answers as an ssh server would, and a page on tcp/80. */
export async function openServerServices(namespace: string): Promise<Station> {
  const station = await startStation(namespace);
  for (const address of ["0.0.0.0", "::"]) {
    await station.listen(22, { kind: "echo" }, address);
    await station.listen(80, { kind: "http", bytes: 10 * 1024 }, address);
  }
  return station;
}
