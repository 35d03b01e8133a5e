import type { AddCommand } from '../command.js';
import { addModelFlags, type ModelFlags, toConfigFlags } from './flags.js';

interface ServeFlags extends ModelFlags {
  debug?: boolean;
}

const services = [
  ['serve', 'Run in the foreground without a chat: worker and channels, until a signal'],
  ['worker', 'Only work: any number of these, each against DATABASE_URL and TEMPORAL_ADDRESS'],
  ['gateway', 'Only receive and answer on channels: the work is done by workers elsewhere'],
] as const;

export const addServices: AddCommand = (program, { config, print, say }) => {
  for (const [name, description] of services) {
    const command = program.command(name).description(description).option('--debug', 'Log more');
    addModelFlags(command).action(async (flags: ServeFlags) => {
      const { runService } = await import('../service.js');
      const level = flags.debug ? 'debug' : 'info';
      await runService({ config: config(toConfigFlags(flags)), command: name, level, print, say });
    });
  }
};
