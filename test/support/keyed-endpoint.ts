// An OpenAI-compatible endpoint that looks at its key and knows its models, for setting up.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface KeyedEndpoint {
  /** Ends in `/v1`. */
  baseUrl: string;
  close(): Promise<void>;
}

export async function startKeyedEndpoint(key: string, models: readonly string[]): Promise<KeyedEndpoint> {
  const server = createServer((request, response) => {
    answer(request, response, key, models).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    close: () => new Promise((resolve) => server.close(() => resolve()).closeAllConnections()),
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, key: string, models: readonly string[]) {
  const body = await text(request);
  const json = (status: number, value: unknown) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(value));
  };
  if (!request.url?.startsWith('/v1/')) return json(404, { error: { message: 'Not Found' } });
  if (request.headers.authorization !== `Bearer ${key}`) return json(401, { error: { message: 'Incorrect API key' } });
  if (request.url === '/v1/models') return json(200, { data: models.map((id) => ({ id })) });
  const { model } = JSON.parse(body) as { model: string };
  if (!models.includes(model))
    return json(404, { error: { message: `The model ${model} does not exist`, code: 'model_not_found' } });
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const choice of [{ delta: { content: 'ready' } }, { delta: {}, finish_reason: 'stop' }])
    response.write(`data: ${JSON.stringify({ choices: [{ index: 0, ...choice }] })}\n\n`);
  return response.end('data: [DONE]\n\n');
}
