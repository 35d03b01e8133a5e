// Loopback ports. A home has its own stretch of numbers below the range from which the system gives ports to outgoing
// connections, so that a port stays the same over restarts; what is really used is remembered beside the data.
import { createServer } from 'node:net';
import { join } from 'node:path';
import { hashOfHome, readJsonIfWhole, replaceFile } from './files.js';

const firstPort = 17_000;
const span = 14_000;
const tries = 200;

export type PortName = 'temporal' | 'temporalUi' | 'postgres';
export type Ports = Partial<Record<PortName, number>>;

function rememberedAt(home: string): string {
  return join(home, 'data', 'ports.json');
}

export async function rememberedPorts(home: string): Promise<Ports> {
  const stored = await readJsonIfWhole(rememberedAt(home));
  return typeof stored === 'object' && stored !== null ? (stored as Ports) : {};
}

export async function rememberPorts(home: string, ports: Ports): Promise<void> {
  await replaceFile(rememberedAt(home), JSON.stringify({ ...(await rememberedPorts(home)), ...ports }));
}

/** The remembered port if it is free now, else another one. `taken` is the remembered one that a stranger holds. */
export async function choosePort(
  home: string,
  name: PortName,
  avoid: number[] = [],
): Promise<{ port: number; taken?: number }> {
  const remembered = (await rememberedPorts(home))[name];
  if (remembered !== undefined && !avoid.includes(remembered) && (await isFree(remembered)))
    return { port: remembered };
  const start = Number.parseInt((await hashOfHome(home)).slice(0, 8), 16) % span;
  for (let step = 0; step < tries; step++) {
    const port = firstPort + ((start + step) % span);
    if (port !== remembered && !avoid.includes(port) && (await isFree(port))) {
      return remembered === undefined ? { port } : { port, taken: remembered };
    }
  }
  return { port: await portOfTheSystem() };
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

function portOfTheSystem(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen({ port: 0, host: '127.0.0.1' }, () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
