// What other processes say: turns that closed, stop marks, pieces of a stream. A connection of its own, listening again after each
// reconnect. A word may be missed: everybody who waits for one also looks at the rows now and then.
import { EventEmitter } from 'node:events';
import pg from 'pg';
import { connectionOptions } from './pool.js';
import { holdWorkerLock } from './workers.js';

/** A piece of an answer that is being written. A later attempt of the same step begins again at offset 0. */
export interface Delta {
  turn: string;
  step: number;
  attempt: number;
  offset: number;
  text: string;
}

/** A call that began or ended, for whoever shows the turn. The summary holds what may be shown. */
export interface Progress {
  turn: string;
  call: string;
  summary: string;
  state: string;
}

interface Words {
  /** A turn has closed. */
  turn: [turnId: string];
  /** A turn carries a stop mark. */
  mark: [turnId: string];
  delta: [Delta];
  progress: [Progress];
  /** Listening again after a break: what was said meanwhile is lost. */
  reconnected: [];
}

export interface Listener {
  on<Name extends keyof Words>(name: Name, hear: (...words: Words[Name]) => void): () => void;
  close(): Promise<void>;
}

const reconnectMs = 500;

export interface ListenerOptions {
  databaseUrl: string;
  /** Hears of each break. */
  onError?(error: Error): void;
  /** This process is a worker: `hasWorker` says so for as long as it listens. */
  asWorker?: boolean;
}

/** Resolves once it listens; afterwards it reconnects by itself. */
export async function openListener({
  databaseUrl,
  onError = () => {},
  asWorker = false,
}: ListenerOptions): Promise<Listener> {
  const emitter = new EventEmitter();
  emitter.setMaxListeners(0);
  let client: pg.Client | undefined;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;

  async function connect(): Promise<void> {
    const fresh = new pg.Client({ ...connectionOptions(databaseUrl), connectionTimeoutMillis: 5_000 });
    let listening = false;
    // Of a connection that never listened `connect` itself tells: with both telling, each failed try would make two new ones.
    const lose = (error?: Error) => {
      if (!listening) return;
      listening = false;
      if (closed) return;
      if (error) onError(error);
      fresh.end().catch(() => {}); // it is broken already; what matters is the next one
      timer = setTimeout(reconnect, reconnectMs);
    };
    fresh.on('error', lose);
    fresh.on('end', () => lose());
    fresh.on('notification', ({ channel, payload }) => tell(emitter, channel, payload ?? ''));
    try {
      await fresh.connect();
      await fresh.query('listen durabot_turn; listen durabot_mark; listen durabot_delta; listen durabot_progress');
      if (asWorker) await fresh.query(holdWorkerLock);
    } catch (error) {
      fresh.end().catch(() => {}); // as above
      throw error;
    }
    listening = true;
    client = fresh;
    if (closed) await fresh.end();
  }

  function reconnect(): void {
    connect().then(
      () => emitter.emit('reconnected'),
      (error: Error) => {
        onError(error);
        if (!closed) timer = setTimeout(reconnect, reconnectMs);
      },
    );
  }

  await connect();
  return {
    on(name, hear) {
      emitter.on(name, hear);
      return () => emitter.off(name, hear);
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      await client?.end().catch(() => {}); // closing a broken connection is no failure
    },
  };
}

function tell(emitter: EventEmitter, channel: string, payload: string): void {
  if (channel === 'durabot_turn') emitter.emit('turn', payload);
  else if (channel === 'durabot_mark') emitter.emit('mark', payload);
  else if (channel === 'durabot_delta') emitter.emit('delta', JSON.parse(payload));
  else if (channel === 'durabot_progress') emitter.emit('progress', JSON.parse(payload));
}
