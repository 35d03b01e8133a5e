// The Schedules that durabot itself needs. One writer, the workflow `reconcile`, makes the engine equal to this list.
export interface BuiltIn {
  scheduleId: string;
  workflowType: string;
  everyMs: number;
  jitterMs: number;
}

export const builtInSchedules: readonly BuiltIn[] = [
  { scheduleId: 'durabot-sweep', workflowType: 'sweep', everyMs: 600_000, jitterMs: 10_000 },
];
