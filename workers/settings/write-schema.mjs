// npm run schema: writes config.schema.json, which editors use, from the schema that the program uses.
import { writeFile } from 'node:fs/promises';
import { settingsJsonSchema } from '../../dist/workers/settings/schema.js';

await writeFile(
  new URL('../../config.schema.json', import.meta.url),
  `${JSON.stringify(settingsJsonSchema(), null, 2)}\n`,
);
