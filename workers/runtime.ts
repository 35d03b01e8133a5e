// The engine's SDK has one runtime a process: installed before anything else of the SDK is opened.
import { DefaultLogger, Runtime } from '@temporalio/worker';

export interface SdkLog {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  debug(fields: object, message: string): void;
}

/** Sends what the SDK logs to our log: warnings and errors as such, everything else for those who debug. */
export function installRuntime(log: SdkLog): void {
  const logger = new DefaultLogger('INFO', ({ level, message, meta }) => {
    const fields = { sdk: meta?.sdkComponent ?? 'temporal', ...withoutNoise(meta) };
    if (level === 'ERROR') log.error(fields, message);
    else if (level === 'WARN') log.warn(fields, message);
    else log.debug(fields, message);
  });
  Runtime.install({ logger, shutdownSignals: [], telemetryOptions: { logging: { forward: {}, filter: 'WARN' } } });
}

function withoutNoise(meta: object | undefined): object {
  if (!meta) return {};
  const { sdkComponent: _, taskToken: __, ...rest } = meta as Record<string, unknown>;
  return rest;
}
