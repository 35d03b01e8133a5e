import { text as readAll } from 'node:stream/consumers';
import { type AddCommand, CommandFailure, exitCodes } from '../command.js';

interface Flags {
  provider?: string;
  baseUrl?: string;
  keyEnv?: string;
  keyStdin?: boolean;
  model?: string;
  workspace?: string;
  timezone?: string;
  test: boolean;
}

export const addSetup: AddCommand = (program, { config, print, say }) => {
  program
    .command('setup')
    .alias('onboard')
    .description('Choose the model, its key and the workspace, by a few questions; tested before it is saved')
    .option('--provider <name>', 'Without questions: whose model, as openai, ollama, or a name of your own')
    .option('--model <name>', 'Its model')
    .option('--base-url <address>', 'Address of an OpenAI-compatible endpoint')
    .option('--key-env <variable>', 'Environment variable that holds the key; only its name is saved')
    .option('--key-stdin', 'Read the key from stdin and keep it in config.json')
    .option('--workspace <folder>', 'Folder in which the agent works')
    .option('--timezone <name>', 'IANA name, as Europe/Berlin')
    .option('--no-test', 'Save without asking the model for one word')
    .action(async ({ baseUrl: apiBase, keyEnv: keyVariable, keyStdin = false, ...flags }: Flags) => {
      if (keyStdin && keyVariable !== undefined)
        throw new CommandFailure('--key-env and --key-stdin exclude each other.', exitCodes.wrongUse);
      const { provider, model, workspace, timezone, test } = flags;
      const apiKey = keyStdin ? (await readAll(process.stdin)).trim() : undefined;
      if (apiKey === '') throw new CommandFailure('There was no key on stdin.', exitCodes.wrongUse);
      const { onboard } = await import('../onboarding/onboard.js');
      await onboard(
        // Looked at by the same rules as the file, before anything is tried.
        config({ provider, model, workspace }),
        { provider, apiBase, apiKey, keyVariable, model, workspace, timezone, test },
        { print, say },
      );
    });
};
