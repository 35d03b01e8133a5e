// The arrows between the rooms: workers → channels, schedules, activities → store, policy; everybody → workflows/contract.ts.
const never = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });
const notTypes = { dependencyTypesNot: ['type-only'] };

module.exports = {
  forbidden: [
    never(
      'no-cycles',
      'A cycle hides who owns what.',
      {},
      { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    ),
    never(
      'contract-is-bare',
      'workflows/contract.ts imports nothing of ours.',
      { path: '^workflows/contract\\.ts$' },
      { path: '^(workflows|activities|store|channels|schedules|policy|workers)/' },
    ),
    never(
      'workflows-import-types-only',
      'Workflow code runs in a sandbox: types of activities, values of policy and when.ts, nothing else.',
      { path: '^workflows/' },
      { path: '^(activities|store|channels|schedules|workers)/', pathNot: '^schedules/when\\.ts$', ...notTypes },
    ),
    never(
      'only-the-contract',
      'From workflows/ the other rooms take contract.ts (workers also what they register).',
      { path: '^(activities|store|channels|schedules|policy)/' },
      { path: '^workflows/', pathNot: '^workflows/contract\\.ts$', ...notTypes },
    ),
    never(
      'store-and-policy-are-leaves',
      'store/ and policy/ know no other room.',
      { path: '^(store|policy)/' },
      { path: '^(activities|channels|schedules|workers)/' },
    ),
    never('policy-is-pure', 'policy/ does no I/O.', { path: '^policy/' }, { dependencyTypes: ['core', 'npm'] }),
    never(
      'sideways',
      'channels, schedules and activities are handed what they need.',
      { path: '^(activities|channels|schedules)/' },
      { path: '^(workers)/' },
    ),
    never(
      'activities-know-no-channel',
      'Activities take types from channels/channel.ts.',
      { path: '^activities/' },
      { path: '^(channels|schedules)/', pathNot: '^(channels/channel|schedules/when)\\.ts$' },
    ),
    never(
      'channels-know-no-model',
      'A channel knows its platform and nothing of models.',
      { path: '^channels/' },
      { path: '^(activities|schedules)/', ...notTypes },
    ),
    never(
      'schedules-are-alone',
      'schedules/ hands its functions to workers/.',
      { path: '^schedules/' },
      { path: '^(activities|channels)/', ...notTypes },
    ),
    never(
      'product-needs-no-test',
      'The product does not import tests or development packages.',
      { path: '^(workflows|activities|store|channels|schedules|policy|workers)/' },
      { path: '^(test|bench)/' },
    ),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.js', '.mjs'] },
  },
};
