// A process of the product with the oracle's channel and tools, composed as dist composes its own:
//   node test/support/run-typescript.mjs test/crash/service-main.ts serve|worker|gateway
// It runs the built program, so what is killed is what ships. Says "ready" on stdout once it polls or receives.
import { register } from 'node:module';
import { brokenBuilds } from './broken-builds.js';
import { effectTools, oracleChannel } from './product-side.js';

const role = process.argv[2] ?? 'serve';
const oracleUrl = process.env.CRASH_ORACLE_URL ?? '';
const broken = brokenBuilds.find(({ name }) => name === process.env.CRASH_BROKEN_BUILD);
if (broken) register('./break-loader.mjs', import.meta.url, { data: broken.edits });

/** Typed by the sources, loaded from what was built. */
const built = <Module>(path: string): Promise<Module> =>
  import(new URL(`../../dist/${path}`, import.meta.url).href) as Promise<Module>;
const { loadConfig } = await built<typeof import('../../workers/config.js')>('workers/config.js');
const { openLocalStack } =
  await built<typeof import('../../workers/local-stack/stack.js')>('workers/local-stack/stack.js');
const { openBase, toAgentOptions } = await built<typeof import('../../workers/compose.js')>('workers/compose.js');
const { openGateway } = await built<typeof import('../../workers/gateway.js')>('workers/gateway.js');
const { createClientEngine } = await built<typeof import('../../workers/late-engine.js')>('workers/late-engine.js');

const config = loadConfig();
const servers = await openServers();
const base = await openBase({ config, servers, command: role });
const channels = ['fake', 'blind'].map((name) =>
  oracleChannel({
    url: oracleUrl,
    name,
    canLook: name === 'fake',
    crashPoint: base.storeDeps.crashPoint,
    acknowledgesFirst: broken?.acknowledgesFirst,
  }),
);
const agent = role === 'gateway' ? undefined : await openWorker();
if (role !== 'worker') {
  const gateway = await openGateway(base, agent?.engine ?? (await createClientEngine(base).open()));
  if (role === 'gateway') gateway.sweepSoon();
  for (const channel of channels) await channel.start(gateway.accept);
}
process.stdout.write('ready\n');
await agent?.done;

// As `serve` with servers of its owner's does it: they may come up later than we do.
async function openServers() {
  for (;;) {
    try {
      return await openLocalStack({ settings: config.stack, say: () => {} });
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

async function openWorker() {
  const { openAgent } = await built<typeof import('../../workers/agent.js')>('workers/agent.js');
  const { installRuntime } = await built<typeof import('../../workers/runtime.js')>('workers/runtime.js');
  installRuntime(base.log);
  const options = await toAgentOptions(base);
  const codePath = process.env.CRASH_WORKFLOW_BUNDLE;
  return openAgent({
    ...options,
    ...(codePath ? { workflowBundle: { codePath } } : {}),
    tools: [...options.tools, ...effectTools(oracleUrl, broken)],
    channels: new Map(channels.map((channel) => [channel.name, channel])),
  });
}
