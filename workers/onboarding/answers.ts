// What setting up decides: which model answers, with which key, where the agent works.

export interface ModelAnswer {
  /** Name under `providers`. */
  provider: string;
  /** Undefined: the known address of that provider. */
  apiBase: string | undefined;
  /** A key as it was given, or `${VARIABLE}`: the name of the variable that holds it. Undefined where none is needed. */
  apiKey: string | undefined;
  model: string;
}

export interface SetupAnswers {
  /** Undefined: the model stays as it is. */
  model: ModelAnswer | undefined;
  workspace: string | undefined;
  timezone: string | undefined;
}
