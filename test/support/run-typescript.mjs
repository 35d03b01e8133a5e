// Runs a TypeScript file of the tests as a process: node test/support/run-typescript.mjs <file.ts> [arguments].
// Node 20 knows no types, so they are stripped on loading, as jest does it. The product itself runs from dist/.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { register } from 'node:module';
import { resolve as toPath } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isMainThread } from 'node:worker_threads';

export async function resolve(specifier, context, next) {
  if (/^\.{1,2}\/.*\.js$/.test(specifier) && context.parentURL?.endsWith('.ts')) {
    const source = new URL(specifier.replace(/\.js$/, '.ts'), context.parentURL);
    if (existsSync(fileURLToPath(source))) return { url: source.href, shortCircuit: true };
  }
  return next(specifier, context);
}

export async function load(url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context);
  const { transform } = await import('@swc/core');
  const { code } = await transform(await readFile(fileURLToPath(url), 'utf8'), {
    filename: fileURLToPath(url),
    jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
    module: { type: 'es6' },
    sourceMaps: 'inline',
  });
  return { format: 'module', source: code, shortCircuit: true };
}

if (isMainThread && process.argv[1] === fileURLToPath(import.meta.url)) {
  register(import.meta.url);
  const [, , file = '', ...rest] = process.argv;
  process.argv = [process.argv[0], toPath(file), ...rest];
  await import(pathToFileURL(toPath(file)).href);
}
