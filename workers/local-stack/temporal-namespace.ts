// What durabot needs of a namespace before a worker may poll it: that it exists, our search attributes (a start that
// carries an unknown one is refused), and on our own server a retention of 30 days.
import { Connection, isGrpcServiceError } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { searchAttributeNames } from '../../workflows/contract.js';
import { StackError } from './stack-settings.js';

const retentionSeconds = 30 * 24 * 3600;
const keyword = 2; // IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
const notFound = 5; // gRPC
const alreadyExists = 6; // gRPC
const answerWithinMs = 5000;

export interface NamespaceFacts {
  serverVersion: string;
  exists: boolean;
  missingAttributes: string[];
  retentionDays: number | undefined;
}

/** Does a server answer there and let us in? Never throws. */
export async function isEngineReady(address: string): Promise<boolean> {
  try {
    const connection = await Connection.connect({ address, connectTimeout: 1000 });
    await connection.close();
    return true;
  } catch {
    return false; // not yet: whoever asks looks at the process too
  }
}

/** Looks, and changes nothing. Rejects when no server answers. */
export async function inspectNamespace(address: string, namespace: string): Promise<NamespaceFacts> {
  return withConnection(address, (connection) => inspect(connection, namespace));
}

/** Repeatable. A server that is not ours keeps its retention, and gets our attributes because TEMPORAL_ADDRESS asks for that server. */
export async function prepareNamespace(wanted: { address: string; namespace: string; ours: boolean }): Promise<void> {
  const { address, namespace, ours } = wanted;
  await withConnection(address, async (connection) => {
    let facts = await inspect(connection, namespace);
    if (!facts.exists && !ours) {
      throw new StackError(
        `The Temporal at ${address} has no namespace "${namespace}". Create it (temporal operator namespace create --namespace ${namespace} --retention 30d), or correct TEMPORAL_NAMESPACE.`,
      );
    }
    if (!facts.exists) {
      await createNamespace(connection, namespace);
      facts = await inspect(connection, namespace);
    }
    if (facts.missingAttributes.length > 0) await addAttributes(connection, namespace, facts.missingAttributes);
    if (ours && facts.retentionDays !== retentionSeconds / 86_400) {
      await connection.workflowService.updateNamespace({
        namespace,
        config: { workflowExecutionRetentionTtl: msToTs(retentionSeconds * 1000) },
      });
    }
  });
}

async function inspect(connection: Connection, namespace: string): Promise<NamespaceFacts> {
  const { serverVersion } = await connection.workflowService.getSystemInfo({});
  try {
    const { config } = await connection.workflowService.describeNamespace({ namespace });
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    const seconds = config?.workflowExecutionRetentionTtl?.seconds;
    return {
      serverVersion: serverVersion ?? '',
      exists: true,
      missingAttributes: searchAttributeNames.filter((name) => !(name in (customAttributes ?? {}))),
      retentionDays: seconds === undefined || seconds === null ? undefined : Number(seconds) / 86_400,
    };
  } catch (error) {
    if (!isGrpcServiceError(error) || Number(error.code) !== notFound) throw error;
    return {
      serverVersion: serverVersion ?? '',
      exists: false,
      missingAttributes: [...searchAttributeNames],
      retentionDays: undefined,
    };
  }
}

async function createNamespace(connection: Connection, namespace: string): Promise<void> {
  try {
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: msToTs(retentionSeconds * 1000),
    });
  } catch (error) {
    if (!isGrpcServiceError(error) || Number(error.code) !== alreadyExists) throw error; // another start was quicker
  }
}

async function addAttributes(connection: Connection, namespace: string, names: string[]): Promise<void> {
  try {
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(names.map((name) => [name, keyword])),
    });
  } catch (error) {
    if (isGrpcServiceError(error) && Number(error.code) === alreadyExists) return; // another start was quicker
    const commands = names.map(
      (name) => `temporal operator search-attribute create --namespace ${namespace} --name ${name} --type Keyword`,
    );
    throw new StackError(
      `Temporal does not let us add the search attributes of durabot. Have its operator run: ${commands.join('; ')}`,
    );
  }
}

async function withConnection<T>(address: string, work: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address, connectTimeout: answerWithinMs }).catch((error: unknown) => {
    throw new StackError(`No Temporal server answers at ${address}. Start it, or correct TEMPORAL_ADDRESS.`, {
      cause: error,
    });
  });
  try {
    return await connection.withDeadline(Date.now() + 2 * answerWithinMs, () => work(connection));
  } finally {
    await connection.close();
  }
}
