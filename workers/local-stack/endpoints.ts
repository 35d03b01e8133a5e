// `run/endpoints.json`: where the running stack answers, for people and scripts. It appears when a worker polls and goes
// with `down`. Its mode is 600, because the address of our own PostgreSQL carries its password.
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from './files.js';

export interface Endpoints {
  /** host:port of the engine. */
  temporal: string;
  /** Absent when the Temporal is not ours: its UI may be anywhere. */
  temporalUi?: string | undefined;
  namespace: string;
  postgres: string;
  api?: string;
  console?: string;
}

function pathIn(home: string): string {
  return join(home, 'run', 'endpoints.json');
}

export async function writeEndpoints(home: string, endpoints: Endpoints): Promise<void> {
  await mkdir(join(home, 'run'), { recursive: true, mode: 0o700 });
  await replaceFile(pathIn(home), `${JSON.stringify(endpoints, null, 2)}\n`);
}

export async function removeEndpoints(home: string): Promise<void> {
  await rm(pathIn(home), { force: true });
}
