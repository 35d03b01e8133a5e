// `run/endpoints.json`: where the running stack answers, for people and scripts. It appears when a worker polls and goes
// with `down`. Its mode is 600, because the address of our own PostgreSQL carries its password.
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readJsonIfWhole, replaceFile } from './files.js';

const endpointsSchema = z.object({
  /** host:port of the engine. */
  temporal: z.string(),
  /** Absent when the Temporal is not ours: its UI may be anywhere. */
  temporalUi: z.string().optional(),
  namespace: z.string(),
  postgres: z.string(),
  api: z.string().optional(),
  console: z.string().optional(),
});

export type Endpoints = z.infer<typeof endpointsSchema>;

function pathIn(home: string): string {
  return join(home, 'run', 'endpoints.json');
}

export async function writeEndpoints(home: string, endpoints: Endpoints): Promise<void> {
  await mkdir(join(home, 'run'), { recursive: true, mode: 0o700 });
  await replaceFile(pathIn(home), `${JSON.stringify(endpoints, null, 2)}\n`);
}

/** Undefined when no worker has polled since the last `down`. That it is there does not mean that the servers still run. */
export async function readEndpoints(home: string): Promise<Endpoints | undefined> {
  return endpointsSchema.safeParse(await readJsonIfWhole(pathIn(home))).data;
}

export async function removeEndpoints(home: string): Promise<void> {
  await rm(pathIn(home), { force: true });
}
