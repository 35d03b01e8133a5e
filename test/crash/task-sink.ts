// In the workflow bundle of kill tests alone: tells the worker when a workflow has made its commands, before they leave for the engine.
import { proxySinks, type Sinks, type WorkflowInterceptorsFactory } from '@temporalio/workflow';

interface WorkerSinks extends Sinks {
  worker: { answers(): void };
}

const { worker } = proxySinks<WorkerSinks>();

export const interceptors: WorkflowInterceptorsFactory = () => ({
  internals: [
    {
      concludeActivation(input, next) {
        worker.answers();
        return next(input);
      },
    },
  ],
});
