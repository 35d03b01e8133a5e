// One PostgreSQL and one Temporal in a home of their own under the temporary folder, for the tests and for the bench.
import { existsSync } from 'node:fs';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Resolves with the variables that tests read, and with what ends the servers. `withoutSync`: PostgreSQL does not wait for the disk. */
export async function openTestStack({ say, withoutSync = true }) {
  const { openLocalStack, stopLocalStack } = await import('../../dist/workers/local-stack/stack.js');
  const { binariesFor, findPostgresUser } = await import('../../dist/workers/local-stack/postgres-binaries.js');
  const { placeOf } = await import('../../dist/workers/local-stack/postgres-place.js');
  const { obtainTemporalBinary } = await import('../../dist/workers/local-stack/temporal-binary.js');
  const home = await mkdtemp(join(await realpath(tmpdir()), 'durabot-test-'));
  const settings = {
    home,
    temporalNamespace: 'default',
    searchPath: process.env.PATH ?? '',
    cacheFolder: join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'durabot'),
  };
  const user = await findPostgresUser();
  const { area } = await placeOf(settings, user);
  const close = async () => {
    await stopLocalStack(settings);
    await rm(area, { recursive: true, force: true });
    await rm(home, { recursive: true, force: true });
  };
  try {
    const stack = await openLocalStack({ settings, say, withoutSync });
    const bundle = join(root, 'dist', 'workflow-bundle.js');
    return {
      close,
      environment: {
        DURABOT_TEST_DATABASE_URL: stack.databaseUrl,
        DURABOT_TEST_TEMPORAL_ADDRESS: stack.temporalAddress,
        DURABOT_TEST_TEMPORAL_CLI: (await obtainTemporalBinary(settings, say)).path,
        DURABOT_TEST_POSTGRES_BIN: join((await binariesFor(user, say)).folder, 'bin'),
        ...(existsSync(bundle) ? { DURABOT_TEST_WORKFLOW_BUNDLE: bundle } : {}),
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
