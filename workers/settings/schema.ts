// What `config.json` may say: every key with its default, its range and its description. The types of the program and
// `config.schema.json` come from here. Keys are written in camelCase; the reader takes snake_case as well.
import { z } from 'zod';
import { durationForms, toMilliseconds } from './duration.js';

/** What a key wants, in the words of an error message. */
export const expectations = z.registry<{ wants: string }>();

const number = (min: number, max?: number) => {
  const schema = max === undefined ? z.number().min(min) : z.number().min(min).max(max);
  return schema.register(expectations, {
    wants: `a number ${max === undefined ? `of at least ${min}` : `from ${min} to ${max}`}`,
  });
};
// Bounded below the largest safe integer, which JSON Schema would otherwise show at every key.
const whole = (min: number, max = 1_000_000_000) =>
  z
    .number()
    .int()
    .min(min)
    .max(max)
    .register(expectations, { wants: `a whole number from ${min} to ${max}` });
const text = () => z.string().min(1).register(expectations, { wants: 'text that is not empty' });
const texts = () => z.array(z.string()).register(expectations, { wants: 'a list of texts' });
const flag = () =>
  z
    .union([z.boolean(), z.enum(['true', 'false', 'on', 'off'])])
    .transform((value) => value === true || value === 'true' || value === 'on')
    .register(expectations, { wants: 'true, false, on or off' });
/** In the file one of `durationForms`, in the program milliseconds. */
const duration = () =>
  z
    .union([z.number().min(0), z.string().regex(/^\d+(\.\d+)?[smhd]?$/)])
    .transform((value) => toMilliseconds(value) ?? 0)
    .register(expectations, { wants: `a duration: ${durationForms}` });
const choice = <const Words extends readonly [string, ...string[]]>(words: Words) =>
  z.enum(words).register(expectations, { wants: `one of ${words.join(', ')}` });
const zone = () =>
  z
    .string()
    .refine(isTimeZone)
    .register(expectations, { wants: 'a time zone by its IANA name, for example Europe/Berlin' });
const url = () =>
  z.url({ protocol: /^https?$/ }).register(expectations, { wants: 'an address that begins with http:// or https://' });

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

// `prefault` and not `default`: an absent group is read as an empty one, so that the defaults of its keys apply.
const group = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.strictObject(shape).register(expectations, { wants: 'an object in braces' });

const preset = group({
  model: text(),
  provider: text().optional().describe('Name of the provider that serves it; left out, it is found by the model.'),
  maxTokens: whole(1).optional(),
  temperature: number(0, 2).optional(),
  contextWindowTokens: whole(1000).optional(),
  reasoningEffort: text().optional(),
});

const provider = group({
  apiKey: text()
    .optional()
    .describe('Better a variable in braces after a dollar sign, so that the key itself is not in this file.'),
  apiBase: url().optional().describe('Address of an OpenAI-compatible endpoint.'),
  extraHeaders: z.record(z.string(), z.string()).register(expectations, { wants: 'an object of texts' }).default({}),
  extraBody: z
    .record(z.string(), z.unknown())
    .register(expectations, { wants: 'an object' })
    .default({})
    .describe('Merged deeply into each request.'),
  displayName: text().optional(),
});

const rule = group({
  tool: text().describe('Name of the tool; * stands for any part of it.'),
  match: z
    .record(z.string(), z.string())
    .register(expectations, { wants: 'an object of texts' })
    .optional()
    .describe('Argument name to the text that it must have; * stands for anything.'),
  decision: choice(['allow', 'ask', 'deny']),
  reason: text().optional(),
});

export const settingsSchema = group({
  $schema: z.string().register(expectations, { wants: 'text' }).optional(),
  agents: group({
    defaults: group({
      workspace: text().optional().describe('Folder of the agent; "workspace" in DURABOT_HOME unless set.'),
      model: text().optional().describe('Unset: chosen at the first start from the keys that are there.'),
      provider: text().default('auto').describe('Name under "providers", or auto: found by the model.'),
      maxTokens: whole(1).default(8192),
      temperature: number(0, 2).default(0.1),
      reasoningEffort: text().optional(),
      contextWindowTokens: whole(1000).default(200_000),
      contextBlockLimit: whole(1000).optional().describe('Tokens at most for the context of one call.'),
      fallbackModels: texts().default([]),
      maxToolIterations: whole(1, 10_000).default(200).describe('Model calls of a turn.'),
      maxToolResultChars: whole(500)
        .default(16_000)
        .describe('A longer result is kept whole and shown by head and tail.'),
      maxConcurrentSubagents: whole(1, 64).default(4).describe('Of one conversation.'),
      timezone: zone().optional().describe("IANA name; the host's zone unless set."),
    }).prefault({}),
  }).prefault({}),
  modelPresets: z.record(z.string(), preset).register(expectations, { wants: 'an object of presets' }).default({}),
  providers: z.record(z.string(), provider).register(expectations, { wants: 'an object of providers' }).default({}),
  tools: group({
    exec: group({
      enable: flag().default(true),
      timeout: duration().default(60_000).describe('Of one command, 30 minutes at most.'),
      sandbox: flag().default(true).describe('Off: commands run with all rights of this user. That is your consent.'),
      readOnlyBinds: texts().default([]).describe('Folders that commands may read.'),
      readWriteBinds: texts().default([]).describe('Folders that commands may change.'),
      allowedEnvKeys: texts().default([]).describe('Environment variables that commands may see.'),
    }).prefault({}),
  }).prefault({}),
  budgets: group({
    perTurn: group({
      tokens: whole(1).default(2_000_000),
      money: number(0).optional().describe('US dollars; unset: no limit.'),
    }).prefault({}),
  }).prefault({}),
  limits: group({
    turn: group({
      work: duration().default(7_200_000).describe('Recorded time of model and tool calls; waiting costs none.'),
    }).prefault({}),
    subagent: group({
      modelCalls: whole(1, 10_000).default(15),
      work: duration().default(3_600_000),
    }).prefault({}),
    repeatedCalls: whole(1, 100)
      .default(3)
      .describe('Equal calls with equal results in a turn before they are refused.'),
  }).prefault({}),
  policy: group({
    rules: z
      .array(rule)
      .register(expectations, { wants: 'a list of rules' })
      .default([])
      .describe('The first rule that matches decides.'),
  }).prefault({}),
});

export type Settings = z.output<typeof settingsSchema>;
export type ProviderSettings = z.output<typeof provider>;
export type ModelPreset = z.output<typeof preset>;
export type PolicyRule = z.output<typeof rule>;

/** The contents of `config.schema.json`, for editors. */
export function settingsJsonSchema(): unknown {
  return { title: 'durabot config.json', ...z.toJSONSchema(settingsSchema, { io: 'input' }) };
}
