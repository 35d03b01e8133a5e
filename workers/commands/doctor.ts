import { type AddCommand, CommandFailure } from '../command.js';
import type { Finding } from '../doctor.js';

const marks = { ok: '✓', note: '·', fail: '✗' } as const;

export const addDoctor: AddCommand = (program, { config, print }) => {
  program
    .command('doctor')
    .description('Check every part and say what to do about it; starts nothing')
    .option('--json', 'Print the findings as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const { examine } = await import('../doctor.js');
      const findings = await examine(config);
      print(json ? JSON.stringify(findings) : findings.map(toLines).join('\n'));
      const failed = findings.filter(({ verdict }) => verdict === 'fail').length;
      if (failed > 0) throw new CommandFailure(`${failed} of ${findings.length} parts need attention.`);
    });
};

function toLines({ part, verdict, finding, remedy }: Finding): string {
  const line = `${marks[verdict]} ${part.padEnd(14)} ${finding}`;
  return remedy ? `${line}\n${' '.repeat(17)}→ ${remedy}` : line;
}
